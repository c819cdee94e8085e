//! What goes wrong, in the words of the contract with the callers.

use t4t_api::settlement::SettlementError;
use t4t_chain::{ChainError, Revert};
use t4t_store::StoreError;
use t4t_types::Address;

/// Why settlement did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The endpoint serves another chain than the one configured.
    #[error(
        "the chain endpoint serves chain {got}, the configuration says {expected}: correct GNOSIS_RPC_URL or T4T_CHAIN_ID"
    )]
    WrongChain {
        /// The configured chain.
        expected: u64,
        /// The endpoint's chain.
        got: u64,
    },
    /// A contract is not where the configuration says.
    #[error(
        "there is no {contract} contract at {address} on chain {chain_id}: correct its address or the chain"
    )]
    NoContract {
        /// Which contract.
        contract: &'static str,
        /// The configured address.
        address: Address,
        /// The chain.
        chain_id: u64,
    },
    /// The contracts do not belong together.
    #[error(
        "the {contract} contract works with {found}, the configuration says {expected}: correct the addresses"
    )]
    ContractMismatch {
        /// Which contract says so.
        contract: &'static str,
        /// What it works with.
        found: Address,
        /// What is configured.
        expected: Address,
    },
    /// The chain can't be used.
    #[error("the chain can't be used now: check GNOSIS_RPC_URL")]
    Chain(#[source] ChainError),
    /// The database belongs to another wallet, whose jobs and transactions nobody else can bring to their end.
    #[error(
        "this data folder belongs to the wallet {owner} and the key is that of {opened}: use the key of {owner}, or \
         another folder for this one (T4T_DATA_DIR)"
    )]
    OtherWallet {
        /// Whose transactions are stored.
        owner: Address,
        /// The wallet that was opened.
        opened: Address,
    },
    /// The database can't be used.
    #[error("the database can't be used")]
    Store(#[from] StoreError),
    /// What was left open by the last run can't be taken up.
    #[error("the open transactions can't be taken up")]
    Recovery(#[source] SettlementError),
}

impl StartError {
    /// Whether it ends by itself, so that the same start may succeed later with nothing changed.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Chain(cause) => cause.is_transient(),
            Self::Recovery(cause) => matches!(cause, SettlementError::Chain { .. }),
            _ => false,
        }
    }

    /// The error with its causes, on one line.
    pub fn story(&self) -> String {
        chain_of(self)
    }
}

/// An error with its causes, on one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The chain's fault, as callers see it.
pub(crate) fn chain(error: &ChainError) -> SettlementError {
    SettlementError::Chain { reason: chain_of(error) }
}

/// The database's fault, as callers see it.
pub(crate) fn store(error: &StoreError) -> SettlementError {
    SettlementError::Store { reason: chain_of(error) }
}

/// A contract's refusal before anything was sent.
pub(crate) fn refused(revert: &Revert) -> SettlementError {
    SettlementError::Refused { reason: revert.to_string(), advice: revert.advice().to_owned() }
}

/// A request that makes no sense.
pub(crate) fn invalid(reason: impl Into<String>) -> SettlementError {
    SettlementError::Invalid { reason: reason.into() }
}
