//! The registry watcher: all chain reads, kept in a directory, so that no question costs a call to the chain.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use t4t_types::{
    Address, EncryptionKey, JobId, JobTerms, ModelId, Overlay, SwarmRef, TokenPrices, TxHash, UnixSeconds,
    Xbzz,
};

use crate::call::{Call, Serve, ServeStream, ServiceError, StreamCall, TransportError};

/// A provider's offer of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The provider.
    pub provider: Address,
    /// The key that requests are sealed to.
    pub sealing_key: EncryptionKey,
    /// The provider's node in Swarm.
    pub overlay: Overlay,
    /// What the model costs there.
    pub prices: TokenPrices,
    /// The longest context in tokens; 0 if not stated.
    pub max_context_tokens: u64,
    /// What the provider has at stake.
    pub stake: Xbzz,
    /// Jobs counted by the registry.
    pub total_jobs: u32,
    /// Those of them that succeeded.
    pub successful_jobs: u32,
    /// Jobs open now, as far as the chain has told.
    pub open_jobs: u32,
    /// How many it works on at a time; 0 means that it states no limit.
    pub max_concurrent_jobs: u32,
    /// Whether the provider is active and its last heartbeat is recent by chain time.
    pub live: bool,
}

impl Candidate {
    /// Whether the provider has as many open jobs as it works on at a time.
    pub fn is_full(&self) -> bool {
        self.max_concurrent_jobs > 0 && self.open_jobs >= self.max_concurrent_jobs
    }
}

/// Lists the live offers of one model, in the registry's order; with `provider`, that provider's alone, live or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListCandidates {
    /// The model.
    pub model: ModelId,
    /// Leaves out offers whose input and output price together exceed this.
    pub max_combined_price: Option<Xbzz>,
    /// Asks for one provider only.
    pub provider: Option<Address>,
}

impl Call for ListCandidates {
    type Reply = Vec<Candidate>;
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/candidates";
}

/// Lists the models that live providers offer, sorted by name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ListModels {}

/// A model and who offers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelListing {
    /// The model.
    pub model: ModelId,
    /// How many live providers offer it.
    pub providers: u32,
    /// The prices of the cheapest of them.
    pub cheapest: TokenPrices,
    /// The longest context that one of them states, in tokens; 0 if none does.
    pub max_context_tokens: u64,
}

impl Call for ListModels {
    type Reply = Vec<ModelListing>;
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/models";
}

/// A provider as the registry shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderListing {
    /// The provider.
    pub provider: Address,
    /// The key that requests are sealed to.
    pub sealing_key: EncryptionKey,
    /// The provider's node in Swarm.
    pub overlay: Overlay,
    /// Where it describes itself; may be empty.
    pub metadata_uri: String,
    /// What it has at stake.
    pub stake: Xbzz,
    /// With less at stake than this, no job can be posted to it.
    pub min_stake: Xbzz,
    /// Whether it has not left the market.
    pub active: bool,
    /// Whether it is active and its last heartbeat is recent by chain time.
    pub live: bool,
    /// Its last heartbeat.
    pub last_heartbeat: UnixSeconds,
    /// Jobs counted by the registry.
    pub total_jobs: u32,
    /// Those of them that succeeded.
    pub successful_jobs: u32,
    /// Jobs open now.
    pub open_jobs: u32,
    /// How many it works on at a time; 0 means that it states no limit.
    pub max_concurrent_jobs: u32,
    /// What it offers: model, prices, longest context (0 if not stated).
    pub offerings: Vec<ListedOffering>,
}

/// One model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedOffering {
    /// The model.
    pub model: ModelId,
    /// What it costs.
    pub prices: TokenPrices,
    /// The longest context in tokens; 0 if not stated.
    pub max_context_tokens: u64,
}

/// Lists providers in the registry's order, live or not; with `provider`, that one alone, read afresh from the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListProviders {
    /// Asks for one provider only.
    pub provider: Option<Address>,
}

impl Call for ListProviders {
    type Reply = Vec<ProviderListing>;
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/providers";
}

/// Reads a job from the chain, now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GetJob {
    /// The job.
    pub job: JobId,
}

impl Call for GetJob {
    type Reply = JobTerms;
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/job";
}

/// Asks how far the chain is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GetHead {}

/// The newest block seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number.
    pub block: u64,
    /// Its time: the time by which deadlines are judged.
    pub timestamp: UnixSeconds,
    /// Milliseconds since it was seen.
    pub age_ms: u64,
    /// Whether the registry was read as well: jobs are followed before, providers are listed from then on.
    pub is_registry_read: bool,
}

impl Head {
    /// The chain's time now: a chain that makes no blocks does not stop the deadlines.
    pub fn now(&self) -> UnixSeconds {
        self.timestamp.plus(self.age_ms / 1000)
    }
}

impl Call for GetHead {
    type Reply = Head;
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/head";
}

/// Says that something is about to appear on the chain, so that the watcher looks closely for a while.
///
/// Only a hint: it shortens the time between looks, to a floor that no number of hints lowers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LookClosely {
    /// For how long, in milliseconds; at most 60,000.
    pub for_ms: u64,
}

impl Call for LookClosely {
    type Reply = ();
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/look-closely";
    const DEADLINE: Duration = Duration::from_secs(2);
}

/// Follows what happens to the jobs of one wallet, from a block on (or from now): first what is known since then,
/// then what comes. At least once: the same event may come again after a restart or a reorg.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct WatchJobs {
    /// The wallet.
    pub wallet: Address,
    /// As whom it takes part.
    pub role: JobRole,
    /// From which block on; `None` for what comes from now on.
    pub since_block: Option<u64>,
}

/// As whom a wallet takes part in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobRole {
    /// Who pays.
    Client,
    /// Who works.
    Provider,
}

/// Something that happened to a job on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    /// The job.
    pub job: JobId,
    /// What happened.
    pub what: JobHappening,
    /// In which block.
    pub block: u64,
    /// In which transaction.
    pub transaction: TxHash,
}

/// What happened to a job on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum JobHappening {
    /// Its payment was put into escrow.
    Posted {
        /// Who pays.
        client: Address,
        /// Who is to work.
        provider: Address,
    },
    /// The provider acknowledged it.
    Acked,
    /// The provider was paid; the client got the rest back.
    Claimed {
        /// Where the sealed answer lies; zero if the provider refused.
        response_hash: SwarmRef,
        /// What was paid.
        paid: Xbzz,
    },
    /// The client took the payment back for want of an acknowledgement.
    Cancelled {
        /// What was burned of the provider's stake.
        slash: Xbzz,
    },
    /// The client took the payment back for want of an answer.
    TimedOut {
        /// What was burned of the provider's stake.
        slash: Xbzz,
    },
    /// The chain was reorganised and an event told before is gone: read the job afresh.
    Reorganised,
}

impl StreamCall for WatchJobs {
    type Item = JobEvent;
    type Error = WatcherError;
    const PATH: &'static str = "/registry-watcher/v1/jobs";
}

/// Why the watcher could not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum WatcherError {
    /// The first look at the chain is not done yet.
    #[error("the registry is still being read, try again in a moment")]
    NotReady,
    /// The chain can't be reached or answers nonsense.
    #[error("the chain can't be read now, check GNOSIS_RPC_URL: {reason}")]
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
    /// A reader of events was too slow; it has to ask again from the last block it saw.
    #[error("too many events are waiting, ask again from the last block seen")]
    Lagged,
    /// The service could not be asked.
    #[error(transparent)]
    Transport {
        /// How it failed.
        #[from]
        cause: TransportError,
    },
}

impl ServiceError for WatcherError {
    fn status(&self) -> u16 {
        match self {
            Self::NotReady => 503,
            Self::Chain { .. } => 502,
            Self::Store { .. } => 500,
            Self::Lagged => 410,
            Self::Transport { cause } => cause.status(),
        }
    }
}

/// The registry watcher as its callers see it, wherever it runs.
pub trait RegistryWatcher:
    Serve<ListCandidates>
    + Serve<ListModels>
    + Serve<ListProviders>
    + Serve<GetJob>
    + Serve<GetHead>
    + Serve<LookClosely>
    + ServeStream<WatchJobs>
{
}

impl<T> RegistryWatcher for T where
    T: Serve<ListCandidates>
        + Serve<ListModels>
        + Serve<ListProviders>
        + Serve<GetJob>
        + Serve<GetHead>
        + Serve<LookClosely>
        + ServeStream<WatchJobs>
        + ?Sized
{
}
