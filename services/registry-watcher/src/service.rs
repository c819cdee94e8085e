//! Answers the watcher's messages.

use std::sync::Arc;

use async_trait::async_trait;
use t4t_api::registry_watcher::{
    Candidate, GetHead, GetJob, Head, ListCandidates, ListModels, ListProviders, LookClosely, ModelListing,
    ProviderListing, WatchJobs, WatcherError,
};
use t4t_api::{ItemStream, Serve, ServeStream};
use t4t_chain::BlockTag;
use t4t_types::{Address, JobTerms};

use crate::core::Core;
use crate::error::chain;
use crate::follow;
use crate::provider::Provider;
use crate::reading;

/// Longest time for which one hint makes the watcher look closely, in milliseconds.
const LONGEST_CLOSE_LOOK_MS: u64 = 60_000;

/// Answers the watcher's messages.
#[derive(Debug)]
pub(crate) struct Watcher(pub(crate) Arc<Core>);

#[async_trait]
impl Serve<ListCandidates> for Watcher {
    async fn ask(&self, call: ListCandidates) -> Result<Vec<Candidate>, WatcherError> {
        Ok(self.0.directory()?.candidates(&call))
    }
}

#[async_trait]
impl Serve<ListModels> for Watcher {
    async fn ask(&self, _: ListModels) -> Result<Vec<ModelListing>, WatcherError> {
        Ok(self.0.directory()?.models())
    }
}

#[async_trait]
impl Serve<ListProviders> for Watcher {
    async fn ask(&self, call: ListProviders) -> Result<Vec<ProviderListing>, WatcherError> {
        match call.provider {
            None => Ok(self.0.directory()?.listings()),
            Some(provider) => self.fresh_listing(provider).await,
        }
    }
}

impl Watcher {
    /// One provider as the chain has it now; nothing if it is not registered.
    async fn fresh_listing(&self, provider: Address) -> Result<Vec<ProviderListing>, WatcherError> {
        let directory = self.0.directory()?;
        let registry = self.0.config.contracts.registry();
        let read = reading::entries(&self.0.rpc, registry, &[provider], BlockTag::Latest).await;
        let read = read.map_err(|error| chain(&error))?.pop();
        let Some((_, entry)) = read else { return Ok(Vec::new()) };
        let entry = entry.map_err(|error| chain(&error))?;
        if !entry.record.is_registered() {
            return Ok(Vec::new());
        }
        if let Err(error) = &entry.offerings {
            return Err(chain(error));
        }
        let head = directory.head();
        let provider = Provider::from_entry(entry, head.block);
        Ok(vec![provider.listing(directory.rules(), head.timestamp)])
    }
}

#[async_trait]
impl Serve<GetJob> for Watcher {
    async fn ask(&self, call: GetJob) -> Result<JobTerms, WatcherError> {
        let escrow = self.0.config.contracts.escrow();
        escrow.job(&self.0.rpc, call.job).await.map_err(|error| chain(&error))
    }
}

#[async_trait]
impl Serve<GetHead> for Watcher {
    async fn ask(&self, _: GetHead) -> Result<Head, WatcherError> {
        // Jobs have deadlines, whether the registry could be read or not.
        let head = self.0.head().ok_or(WatcherError::NotReady)?;
        Ok(head.as_of(self.0.now_ms(), self.0.published().is_some()))
    }
}

#[async_trait]
impl Serve<LookClosely> for Watcher {
    async fn ask(&self, call: LookClosely) -> Result<(), WatcherError> {
        self.0.look_closely(call.for_ms.min(LONGEST_CLOSE_LOOK_MS));
        Ok(())
    }
}

#[async_trait]
impl ServeStream<WatchJobs> for Watcher {
    async fn open(&self, call: WatchJobs) -> Result<ItemStream<WatchJobs>, WatcherError> {
        Ok(follow::jobs(Arc::clone(&self.0), call))
    }
}
