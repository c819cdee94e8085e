//! What goes wrong when settlement is asked.

use serde::{Deserialize, Serialize};
use t4t_types::{Address, Xbzz};

use super::key::TransactionKey;
use crate::call::{ServiceError, TransportError};

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
