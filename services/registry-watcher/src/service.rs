//! Answers the watcher's messages.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use t4t_api::registry_watcher::{
    Candidate, GetHead, GetJob, Head, ListCandidates, ListModels, ListProviders, LookClosely, ModelListing,
    ProviderListing, WatchJobs, WatcherError,
};
use t4t_api::{ItemStream, Serve, ServeStream};
use t4t_chain::{BlockTag, Rpc};
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
        Ok(self.0.with_confirmed_keys(self.0.directory()?.candidates(&call)))
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
    /// One provider as the chain has it now; nothing if it is not registered. Where several endpoints answer, two have to
    /// agree: a provider that believes a false entry of its own pays for mending it each time it looks.
    async fn fresh_listing(&self, provider: Address) -> Result<Vec<ProviderListing>, WatcherError> {
        let each = self.0.rpc.each();
        if each.len() < 2 {
            return self.listing_by(&self.0.rpc, provider).await;
        }
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(each.len());
        for rpc in &each {
            asked.push(self.listing_by(rpc, provider));
        }
        let said: Vec<_> = join_all(asked).await.into_iter().filter_map(Result::ok).collect();
        match said.len() {
            0 => self.listing_by(&self.0.rpc, provider).await,
            1 => Ok(said.into_iter().flatten().collect()),
            _ => agreed(&said).ok_or_else(|| WatcherError::Chain {
                reason: "the endpoints say different things about this provider: check each of them, or name a third".into(),
            }),
        }
    }

    async fn listing_by(&self, rpc: &Rpc, provider: Address) -> Result<Vec<ProviderListing>, WatcherError> {
        let directory = self.0.directory()?;
        let registry = self.0.config.contracts.registry();
        let read = reading::entries(rpc, registry, &[provider], BlockTag::Latest).await;
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

/// What two endpoints say alike, but for what changes with each block.
fn agreed(said: &[Vec<ProviderListing>]) -> Option<Vec<ProviderListing>> {
    let steady = |listings: &[ProviderListing]| {
        listings.first().map(|listing| {
            let offerings = listing.offerings.clone();
            (listing.sealing_key, listing.stake, listing.active, listing.max_concurrent_jobs, offerings)
        })
    };
    let is_shared = |listings: &&Vec<ProviderListing>| {
        said.iter().filter(|other| steady(other) == steady(listings)).count() >= 2
    };
    let mut found = said.iter().find(is_shared)?.clone();
    if let Some(listing) = found.first_mut() {
        // A heartbeat that one endpoint does not know yet was sent all the same.
        let others = said.iter().filter(|other| steady(other) == steady(std::slice::from_ref(listing)));
        let newest = others.flatten().map(|other| other.last_heartbeat).max();
        listing.last_heartbeat = newest.unwrap_or(listing.last_heartbeat);
    }
    Some(found)
}

#[async_trait]
impl Serve<GetJob> for Watcher {
    async fn ask(&self, call: GetJob) -> Result<JobTerms, WatcherError> {
        self.0.job(call.job).await
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
