//! Settlement: all chain writes and the only wallet.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use t4t_types::{
    Address, EncryptionKey, JobId, ModelId, Offering, Overlay, SwarmRef, TxHash, UnixSeconds, Xbzz,
};

use crate::call::{Call, Serve, ServiceError, TransportError};

/// The name of a transaction-to-be: what makes submitting it twice the same as submitting it once.
///
/// Its text says what the transaction is for, such as `post:<request>:<attempt>` or `claim:<job>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionKey(String);

impl TransactionKey {
    /// A key from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key of a job's acknowledgement.
    pub fn ack(job: JobId) -> Self {
        Self(format!("ack:{job}"))
    }

    /// The key of a job's claim, whether for money or for nothing: a job is settled by its provider at most once.
    pub fn claim(job: JobId) -> Self {
        Self(format!("claim:{job}"))
    }

    /// The key of a job's cancellation by its client.
    pub fn cancel(job: JobId) -> Self {
        Self(format!("cancel:{job}"))
    }

    /// The key of a job's time-out by its client.
    pub fn time_out(job: JobId) -> Self {
        Self(format!("timeout:{job}"))
    }

    /// The key under which the same is tried once more, because the contract refused it while a reorganisation was under
    /// way; `time` counts from 1, and the first time has the key itself.
    #[must_use]
    pub fn of_time(&self, time: u32) -> Self {
        if time <= 1 { self.clone() } else { Self(format!("{}:{time}", self.0)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a transaction is to do. Sending money away and letting others take it are none of these: whoever may ask for
/// jobs may not empty the wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum TransactionIntent {
    /// Puts a job's payment into escrow.
    PostJob {
        /// Who is to do it.
        provider: Address,
        /// Where the sealed request lies.
        request_hash: SwarmRef,
        /// The model asked for.
        model: ModelId,
        /// What the job may cost at most.
        max_payment: Xbzz,
        /// Until when the provider must have claimed.
        delivery_deadline: UnixSeconds,
    },
    /// Acknowledges a job.
    AckJob {
        /// The job.
        job: JobId,
    },
    /// Claims a delivered job's payment.
    ClaimJob {
        /// The job.
        job: JobId,
        /// Where the sealed answer lies.
        response_hash: SwarmRef,
        /// What the job cost.
        paid: Xbzz,
    },
    /// Refuses a job: a claim of nothing, which refunds the client and costs no stake.
    RefuseJob {
        /// The job.
        job: JobId,
    },
    /// Takes back the payment of a job that was not acknowledged in time.
    CancelJob {
        /// The job.
        job: JobId,
    },
    /// Takes back the payment of a job that was not delivered in time.
    TimeOutJob {
        /// The job.
        job: JobId,
    },
    /// Registers this wallet as a provider.
    Register {
        /// The key that requests are sealed to.
        sealing_key: EncryptionKey,
        /// The provider's node in Swarm.
        overlay: Overlay,
        /// Where the provider describes itself; may be empty.
        metadata_uri: String,
        /// The stake.
        stake: Xbzz,
    },
    /// Replaces the list of models on offer.
    UpdateOfferings {
        /// The whole new list.
        offerings: Vec<Offering>,
    },
    /// Says that the provider is there.
    Heartbeat,
    /// Publishes how many jobs the provider works on at a time; 0 means no limit.
    SetMaxConcurrentJobs {
        /// The number.
        cap: u32,
    },
    /// Adds to the stake.
    AddStake {
        /// The amount.
        amount: Xbzz,
    },
    /// Leaves the market; the stake can be withdrawn after the unbonding period.
    Deactivate,
    /// Takes the stake back.
    WithdrawStake,
}

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
    /// `job_notify`, `job_ack` or `job_deliver`.
    pub kind: String,
    /// To whom.
    pub to: Address,
    /// The body as the protocol states it.
    pub body: serde_json::Value,
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

/// Why settlement did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum SettlementError {
    /// The wallet holds too little xBZZ.
    #[error("the wallet {wallet} holds {has} xBZZ and needs {needs}: send xBZZ to it")]
    OutOfXbzz {
        /// The wallet.
        wallet: Address,
        /// What it holds.
        has: Xbzz,
        /// What is needed.
        needs: Xbzz,
    },
    /// The wallet can't pay for gas.
    #[error("the wallet {wallet} has too little xDAI for gas: send xDAI to it")]
    OutOfGas {
        /// The wallet.
        wallet: Address,
    },
    /// The contract would refuse the transaction, so it was not sent.
    #[error("the contract refuses it: {reason}: {advice}")]
    Refused {
        /// The contract's error, such as `ProviderNotLive`.
        reason: String,
        /// What it means and what to do.
        advice: String,
    },
    /// No transaction has this key.
    #[error("no transaction is known as {key}")]
    UnknownTransaction {
        /// The key asked for.
        key: TransactionKey,
    },
    /// The chain can't be reached or answers nonsense.
    #[error("the chain can't be used now, check GNOSIS_RPC_URL: {reason}")]
    Chain {
        /// What was seen.
        reason: String,
    },
    /// The database can't be used.
    #[error("the database can't be used: {reason}")]
    Store {
        /// What was seen.
        reason: String,
    },
    /// What was asked makes no sense.
    #[error("invalid request: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The service could not be asked.
    #[error(transparent)]
    Transport {
        /// How it failed.
        #[from]
        cause: TransportError,
    },
}

impl ServiceError for SettlementError {
    fn status(&self) -> u16 {
        match self {
            Self::OutOfXbzz { .. } | Self::OutOfGas { .. } => 402,
            Self::Refused { .. } => 409,
            Self::UnknownTransaction { .. } => 404,
            Self::Chain { .. } => 502,
            Self::Store { .. } => 500,
            Self::Invalid { .. } => 400,
            Self::Transport { cause } => cause.status(),
        }
    }
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
