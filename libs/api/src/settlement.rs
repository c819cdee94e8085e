//! Settlement: all chain writes and the only wallet.

mod error;
mod intent;
mod key;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use t4t_protocol::OutgoingMessage;
use t4t_types::{Address, JobId, TxHash, Xbzz};

use crate::call::{Call, Serve};

pub use error::SettlementError;
pub use intent::{EscrowIntent, RegistryIntent, TransactionIntent};
pub use key::TransactionKey;

/// `u128` as a decimal string: a JSON number would lose digits.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Signs, stores and sends a transaction.
///
/// It is stored raw with its nonce before it is sent. A second submission under the same key returns the first one's
/// state and sends nothing new. Posting, registering and adding stake see to the token allowance by themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubmitTransaction {
    /// What makes it the same transaction.
    pub key: TransactionKey,
    /// What it is to do.
    pub intent: TransactionIntent,
}

/// How far a transaction has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStatus {
    /// What makes it the same transaction.
    pub key: TransactionKey,
    /// Its nonce.
    pub nonce: u64,
    /// The hash of the newest version sent, or of the one that was mined.
    pub hash: TxHash,
    /// What became of it.
    pub outcome: TransactionOutcome,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TransactionOutcome {
    /// It is stored and sent, and waits for its block.
    Pending,
    /// It is in a block and did what it was to do.
    Mined {
        /// The block.
        block: u64,
        /// Gas used.
        gas_used: u64,
        /// What was paid for the gas, in wei.
        #[serde(with = "decimal")]
        fee_wei: u128,
        /// The job it posted or settled, if it did.
        job: Option<JobId>,
        /// What a claim paid to the provider, or a cancellation or time-out burned.
        amount: Option<Xbzz>,
    },
    /// It is in a block, and the contract refused it.
    Reverted {
        /// The block.
        block: u64,
        /// The contract's error, such as `BadStatus`.
        reason: String,
    },
}

impl Call for SubmitTransaction {
    type Reply = TransactionStatus;
    type Error = SettlementError;
    const PATH: &'static str = "/settlement/v1/submit";
    const DEADLINE: Duration = Duration::from_secs(120);
}

/// Waits until a transaction is mined, for at most `wait_ms`; answers with whatever is known then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AwaitTransaction {
    /// Which one.
    pub key: TransactionKey,
    /// How long to wait, in milliseconds; at most 60,000.
    pub wait_ms: u64,
}

impl Call for AwaitTransaction {
    type Reply = TransactionStatus;
    type Error = SettlementError;
    const PATH: &'static str = "/settlement/v1/await";
    const DEADLINE: Duration = Duration::from_secs(70);
}

/// Signs a version-1 message with the wallet and returns it ready to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignEnvelope {
    /// To whom.
    pub to: Address,
    /// What it says.
    #[serde(flatten)]
    pub message: OutgoingMessage,
}

impl Call for SignEnvelope {
    /// The message as UTF-8 JSON.
    type Reply = String;
    type Error = SettlementError;
    const PATH: &'static str = "/settlement/v1/sign-envelope";
}

/// Asks what the wallet holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GetAccount {}

/// The wallet, its contracts and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The wallet's address.
    pub address: Address,
    /// The chain.
    pub chain_id: u64,
    /// The provider registry in use.
    pub registry: Address,
    /// The job escrow in use.
    pub escrow: Address,
    /// The token contract in use.
    pub token: Address,
    /// What it holds for gas, in wei.
    #[serde(with = "decimal")]
    pub xdai_wei: u128,
    /// What a unit of gas may cost now at most, in wei.
    #[serde(with = "decimal")]
    pub max_fee_wei: u128,
    /// What it holds for payments.
    pub xbzz: Xbzz,
    /// Transactions that wait for a block.
    pub pending: u32,
}

impl Call for GetAccount {
    type Reply = Account;
    type Error = SettlementError;
    const PATH: &'static str = "/settlement/v1/account";
}

/// Settlement as its callers see it, wherever it runs.
pub trait Settlement:
    Serve<SubmitTransaction> + Serve<AwaitTransaction> + Serve<SignEnvelope> + Serve<GetAccount>
{
}

impl<T> Settlement for T where
    T: Serve<SubmitTransaction> + Serve<AwaitTransaction> + Serve<SignEnvelope> + Serve<GetAccount> + ?Sized
{
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TO: &str = "0x7777777777777777777777777777777777777777";

    #[test]
    fn a_message_to_sign_is_named_by_its_kind_and_carries_its_body() {
        let body = json!({
            "jobId": format!("0x{}", "11".repeat(32)), "responseHash": "22".repeat(32),
            "ext": { "eta": 3 },
        });
        let text = json!({ "kind": "job_deliver", "to": TO, "body": body });
        let read: SignEnvelope = serde_json::from_value(text.clone()).unwrap();
        assert!(matches!(&read.message, OutgoingMessage::JobDeliver(deliver) if deliver.ext.is_some()));
        assert_eq!(serde_json::to_value(&read).unwrap(), text);
    }

    #[test]
    fn only_messages_of_the_protocol_can_be_asked_to_be_signed() {
        for (kind, body) in [("job_deliver", json!({})), ("job_pay", json!({})), ("job_ack", json!([]))] {
            let text = json!({ "kind": kind, "to": TO, "body": body });
            assert!(serde_json::from_value::<SignEnvelope>(text).is_err(), "{kind}");
        }
    }
}
