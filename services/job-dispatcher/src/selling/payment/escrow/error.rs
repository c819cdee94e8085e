//! Why work on a job stopped; the sweep has it taken up again.

use t4t_api::registry_watcher::WatcherError;
use t4t_api::settlement::SettlementError;
use t4t_crypto::CryptoError;
use t4t_store::StoreError;

use crate::selling::verification::Unverified;

/// Why a step of a job was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum EscrowError {
    #[error("the database can't be used")]
    Store(#[from] StoreError),
    #[error("the chain can't be read: {0}")]
    Watcher(#[from] WatcherError),
    #[error("settlement: {0}")]
    Settlement(#[from] SettlementError),
    #[error("the answer can't be uploaded")]
    Upload,
    #[error("the chain's node does not show the job yet")]
    NotThereYet,
    #[error(transparent)]
    Unverified(#[from] Unverified),
    #[error("the answer can't be sealed: {0}")]
    Seal(#[from] CryptoError),
    #[error("the run ended without its answer")]
    NoAnswer,
}
