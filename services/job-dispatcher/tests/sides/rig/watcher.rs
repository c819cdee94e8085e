//! A watcher that reads the model of the chain, and can be made to fail or to lie.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use t4t_api::registry_watcher::{
    Candidate, GetHead, GetJob, Head, JobEvent, ListCandidates, ListModels, ListProviders, ListedOffering,
    LookClosely, ModelListing, ProviderListing, WatchJobs, WatcherError,
};
use t4t_api::{ItemStream, Serve, ServeStream};
use t4t_types::{JobTerms, Xbzz};

use super::chain::{Entry, MIN_STAKE};
use super::world::{World, lock};

type Lie = Arc<dyn Fn(JobTerms) -> JobTerms + Send + Sync>;

/// What a watcher does wrong.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// Nothing can be read.
    pub(crate) is_down: bool,
    /// Milliseconds since the newest block was seen.
    pub(crate) head_age_ms: u64,
    /// What is told of jobs' terms.
    pub(crate) lie: Option<Lie>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("is_down", &self.is_down).finish_non_exhaustive()
    }
}

/// The watcher of one side.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) world: Arc<World>,
    pub(crate) faults: Arc<Mutex<Faults>>,
}

impl Watcher {
    fn faults(&self) -> Result<Faults, WatcherError> {
        let faults = lock(&self.faults).clone();
        if faults.is_down {
            return Err(WatcherError::Chain { reason: "no endpoint answers".into() });
        }
        Ok(faults)
    }

    fn open_jobs(&self, entry: &Entry) -> u32 {
        let chain = self.world.chain();
        let open = chain.open_jobs().filter(|job| job.terms.provider == entry.provider).count();
        u32::try_from(open).unwrap()
    }

    fn entries(&self) -> Vec<Entry> {
        self.world.chain().entries.clone()
    }
}

#[async_trait]
impl Serve<GetJob> for Watcher {
    async fn ask(&self, call: GetJob) -> Result<JobTerms, WatcherError> {
        let faults = self.faults()?;
        let terms = self.world.chain().jobs.get(&call.job).map(|job| job.terms.clone()).unwrap_or_default();
        Ok(faults.lie.map_or(terms.clone(), |lie| lie(terms)))
    }
}

#[async_trait]
impl Serve<GetHead> for Watcher {
    async fn ask(&self, _: GetHead) -> Result<Head, WatcherError> {
        let age_ms = self.faults()?.head_age_ms;
        let timestamp = self.world.now().minus(age_ms / 1000);
        Ok(Head { block: self.world.head_block(), timestamp, age_ms, is_registry_read: true })
    }
}

#[async_trait]
impl Serve<ListCandidates> for Watcher {
    async fn ask(&self, call: ListCandidates) -> Result<Vec<Candidate>, WatcherError> {
        self.faults()?;
        let wanted = |entry: &Entry| call.provider.map_or(entry.live, |provider| provider == entry.provider);
        let offer = |entry: Entry| {
            let offering = entry.offerings.iter().find(|offer| offer.model == call.model.as_str())?.clone();
            Some(Candidate {
                provider: entry.provider,
                sealing_key: entry.sealing_key,
                overlay: entry.overlay,
                prices: offering.prices,
                max_context_tokens: offering.max_context_tokens.try_into().unwrap_or(u64::MAX),
                stake: entry.stake,
                total_jobs: entry.jobs,
                successful_jobs: entry.successful,
                open_jobs: self.open_jobs(&entry),
                max_concurrent_jobs: entry.cap,
                live: entry.live,
            })
        };
        let is_affordable = |offer: &Candidate| {
            call.max_combined_price.is_none_or(|most: Xbzz| offer.prices.combined() <= most)
        };
        Ok(self.entries().into_iter().filter(wanted).filter_map(offer).filter(is_affordable).collect())
    }
}

#[async_trait]
impl Serve<ListModels> for Watcher {
    async fn ask(&self, _: ListModels) -> Result<Vec<ModelListing>, WatcherError> {
        // Neither side asks for it.
        Err(WatcherError::NotReady)
    }
}

#[async_trait]
impl Serve<ListProviders> for Watcher {
    async fn ask(&self, call: ListProviders) -> Result<Vec<ProviderListing>, WatcherError> {
        self.faults()?;
        let wanted = |entry: &Entry| call.provider.is_none_or(|provider| provider == entry.provider);
        let listing = |entry: Entry| ProviderListing {
            open_jobs: self.open_jobs(&entry),
            provider: entry.provider,
            sealing_key: entry.sealing_key,
            overlay: entry.overlay,
            metadata_uri: entry.metadata_uri,
            stake: entry.stake,
            min_stake: MIN_STAKE,
            active: entry.active,
            live: entry.live,
            last_heartbeat: entry.heartbeat,
            total_jobs: entry.jobs,
            successful_jobs: entry.successful,
            max_concurrent_jobs: entry.cap,
            offerings: entry
                .offerings
                .into_iter()
                .map(|offer| ListedOffering {
                    model: offer.model.parse().unwrap(),
                    prices: offer.prices,
                    max_context_tokens: offer.max_context_tokens.try_into().unwrap_or(u64::MAX),
                })
                .collect(),
        };
        Ok(self.entries().into_iter().filter(wanted).map(listing).collect())
    }
}

#[async_trait]
impl Serve<LookClosely> for Watcher {
    async fn ask(&self, _: LookClosely) -> Result<(), WatcherError> {
        Ok(())
    }
}

#[async_trait]
impl ServeStream<WatchJobs> for Watcher {
    async fn open(&self, call: WatchJobs) -> Result<ItemStream<WatchJobs>, WatcherError> {
        self.faults()?;
        let events = self.world.follow(call.wallet, call.role, call.since_block);
        let next = |mut events: tokio::sync::mpsc::UnboundedReceiver<JobEvent>| async {
            events.recv().await.map(|event| (Ok(event), events))
        };
        Ok(futures_util::stream::unfold(events, next).boxed())
    }
}
