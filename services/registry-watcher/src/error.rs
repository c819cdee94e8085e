//! What goes wrong, and how callers see it.

use std::error::Error;

use t4t_api::registry_watcher::WatcherError;
use t4t_chain::ChainError;
use t4t_store::StoreError;

/// Why the watcher did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be used.
    #[error("the registry watcher's database can't be used")]
    Store(#[from] StoreError),
}

/// Why a look at the chain came to nothing. What was found before is kept and worked on at the next look.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The chain can't be read.
    #[error("the chain can't be read")]
    Chain(#[from] ChainError),
    /// The database can't be used.
    #[error("the database can't be used")]
    Store(#[from] StoreError),
}

/// An error with its causes, on one line.
pub(crate) fn chain_of(error: &dyn Error) -> String {
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
pub(crate) fn chain(error: &ChainError) -> WatcherError {
    WatcherError::Chain { reason: chain_of(error) }
}

/// The database's fault, as callers see it.
pub(crate) fn store(error: &StoreError) -> WatcherError {
    WatcherError::Store { reason: chain_of(error) }
}

impl From<&SyncError> for WatcherError {
    fn from(error: &SyncError) -> Self {
        match error {
            SyncError::Chain(cause) => chain(cause),
            SyncError::Store(cause) => store(cause),
        }
    }
}
