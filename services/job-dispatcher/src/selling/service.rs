//! The selling service: what it needs, how it starts and stops.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use secrecy::SecretString;
use t4t_api::job_dispatcher::{GetSellingStatus, RegisterRunner, RunnerLease, SellingError, SellingStatus};
use t4t_api::{Desk, Guard, InferenceRunner, RegistryWatcher, Selling, Serve, Settlement, call_route};
use t4t_clock::SharedClock;
use t4t_crypto::SealingKey;
use t4t_protocol::provider_topic;
use t4t_runtime::recovery::TakenUp;
use t4t_store::{Side, Store, StoreError};
use t4t_swarm::LinkState;
use t4t_types::{Address, JobId, ModelId, SwarmRef, TokenUsage};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::allowance::Courtesy;
use super::config::SellingConfig;
use super::late::Late;
use super::ledger::Ledger;
use super::listing::{Listing, ListingConfig, ListingDeps};
use super::problem::{Problem, SharedProblem};
use super::runners::{Runners, RunnersConfig};
use crate::carriage::Courier;
use crate::chronicle::Chronicle;

/// Jobs of which it is remembered that their client was told of their beginning; forgotten, it is told once more.
const REMEMBERED_JOBS: usize = 4096;

/// Messages to this service worked on at a time.
const SLOTS: usize = 256;

/// What the selling side stands on.
pub struct SellingDeps {
    /// The wallet that is paid, by its address.
    pub wallet: Address,
    /// The key that requests are sealed to.
    pub sealing_key: SealingKey,
    /// The view of the chain.
    pub watcher: Arc<dyn RegistryWatcher>,
    /// The wallet's service.
    pub settlement: Arc<dyn Settlement>,
    /// The way messages and payloads travel.
    pub courier: Arc<dyn Courier>,
    /// The runner in this process, if there is one.
    pub runner: Option<Arc<dyn InferenceRunner>>,
    /// The token that registered runners are called with; without one, none may register.
    pub token: Option<SecretString>,
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: SharedClock,
}

impl std::fmt::Debug for SellingDeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SellingDeps").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

/// Why the selling side can't start.
#[derive(Debug, thiserror::Error)]
pub enum SellingStartError {
    /// The database can't be used.
    #[error("the database can't be used")]
    Store(#[from] StoreError),
}

/// What was found open at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs whose answer is stored and still to be uploaded or claimed.
    pub answered: u32,
    /// Jobs taken on and not answered.
    pub unanswered: u32,
    /// Jobs whose refusal is on its way.
    pub refusing: u32,
}

impl From<Recovered> for TakenUp {
    fn from(recovered: Recovered) -> Self {
        Self {
            jobs_to_answer: recovered.unanswered.into(),
            answers_to_claim: recovered.answered.into(),
            refusals: recovered.refusing.into(),
            ..Self::default()
        }
    }
}

/// The selling side at work.
pub(super) struct Seller {
    pub(super) wallet: Address,
    pub(super) sealing_key: SealingKey,
    pub(super) watcher: Arc<dyn RegistryWatcher>,
    pub(super) settlement: Arc<dyn Settlement>,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) clock: SharedClock,
    pub(super) config: SellingConfig,
    pub(super) ledger: Ledger,
    pub(super) runners: Arc<Runners>,
    pub(super) in_progress: Under<JobId>,
    /// Requests, with their clients, of which a job is being judged.
    pub(super) taking_in: Under<(Address, SwarmRef)>,
    pub(super) listing: Arc<Listing>,
    pub(super) courtesy: Courtesy,
    /// Jobs whose claim this process handed to settlement.
    pub(super) settling: Jobs,
    /// Jobs whose client was told that they were begun.
    pub(super) told_ack: Jobs,
    /// Jobs whose event a reorganisation took back: their ids may be another provider's by now.
    pub(super) taken_back: Jobs,
    /// Claims that are in no block although their deadline comes near.
    pub(super) late: Late,
    pub(super) expired_at_ms: AtomicU64,
    pub(super) started_ms: u64,
    pub(super) sold: Sold,
    /// What a row holds where the client wrote a name that is none.
    pub(super) nameless: ModelId,
}

/// The selling service.
#[derive(Debug)]
pub struct SellingService;

/// A selling service that runs.
pub struct Running {
    selling: Arc<dyn Selling>,
    seller: Arc<Seller>,
    recovered: Recovered,
    messages: watch::Receiver<LinkState>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl SellingService {
    /// Takes up what an earlier run left open and starts to sell.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn start(config: SellingConfig, deps: SellingDeps) -> Result<Running, SellingStartError> {
        Self::start_behind(config, deps, |front| Arc::new(Desk::start("job-dispatcher", front, SLOTS))).await
    }

    /// The same without a mailbox: whoever asks is answered where it asks. For simulations on one thread, whose order
    /// of events is decided by a seed; what is asked is not bounded.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_without_mailbox(
        config: SellingConfig,
        deps: SellingDeps,
    ) -> Result<Running, SellingStartError> {
        Self::start_behind(config, deps, |front| front).await
    }

    async fn start_behind(
        config: SellingConfig,
        deps: SellingDeps,
        front: impl FnOnce(Arc<Front>) -> Arc<dyn Selling>,
    ) -> Result<Running, SellingStartError> {
        let chronicle = Chronicle::new(Side::Selling, deps.store.clone(), Arc::clone(&deps.clock));
        let runners_config =
            RunnersConfig { lease: config.runner_lease, token: deps.token, cap: config.max_concurrent_jobs };
        let runners = Arc::new(Runners::new(deps.runner, Arc::clone(&deps.clock), runners_config));
        let problem = SharedProblem::default();
        let listing_config = ListingConfig {
            wallet: deps.wallet,
            sealing_key: deps.sealing_key.public(),
            stake: config.stake,
            default_prices: config.default_prices,
            heartbeat_seconds: config.heartbeat_seconds,
            interval: config.storefront_interval,
            runner_lease: config.runner_lease,
        };
        let listing_deps = ListingDeps {
            runners: Arc::clone(&runners),
            watcher: Arc::clone(&deps.watcher),
            settlement: Arc::clone(&deps.settlement),
            courier: Arc::clone(&deps.courier),
            store: deps.store.clone(),
            clock: Arc::clone(&deps.clock),
            problems: vec![problem.clone()],
        };
        let listing = Arc::new(Listing::new(listing_config, listing_deps));
        let seller = Arc::new(Seller {
            wallet: deps.wallet,
            sealing_key: deps.sealing_key,
            watcher: deps.watcher,
            settlement: deps.settlement,
            courier: deps.courier,
            ledger: Ledger::new(deps.store.clone(), chronicle, Arc::clone(&deps.clock)),
            started_ms: deps.clock.unix_millis(),
            clock: deps.clock,
            runners,
            in_progress: Under::default(),
            taking_in: Under::default(),
            listing,
            courtesy: Courtesy::default(),
            settling: Jobs::default(),
            told_ack: Jobs::default(),
            taken_back: Jobs::default(),
            late: Late::new(problem),
            expired_at_ms: AtomicU64::new(0),
            sold: Sold::default(),
            nameless: "?".parse().expect("one character is a name"),
            config,
        });
        let inbox = seller.courier.listen(&provider_topic(deps.wallet), deps.wallet, deps.store);
        let messages = inbox.state();
        seller.runners.refresh().await;
        let recovered = seller.recover().await?;
        let tasks = vec![
            tokio::spawn(Arc::clone(&seller).follow_messages(inbox)),
            tokio::spawn(Arc::clone(&seller.listing).keep()),
            tokio::spawn(Arc::clone(&seller).follow_chain()),
            tokio::spawn(Arc::clone(&seller).sweep_forever()),
        ];
        let selling = front(Arc::new(Front(Arc::clone(&seller))));
        Ok(Running { selling, seller, recovered, messages, tasks })
    }
}

impl Running {
    /// The service, behind its mailbox.
    pub fn selling(&self) -> Arc<dyn Selling> {
        Arc::clone(&self.selling)
    }

    /// What was found open at the start.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Follows whether the clients' messages can arrive.
    pub fn messages(&self) -> watch::Receiver<LinkState> {
        self.messages.clone()
    }

    /// Looks after the shop window once; tests drive time with it.
    pub async fn storefront_once(&self) {
        self.seller.listing.look_after_once().await;
    }

    /// Looks at every open job once; tests drive time with it.
    pub async fn sweep_once(&self) {
        self.seller.sweep_once().await;
    }

    /// Leaves the market for good (`T4T_DEACTIVATE_ON_SHUTDOWN`).
    ///
    /// # Errors
    /// Says what stood in the way.
    pub async fn leave(&self) -> Result<(), String> {
        self.seller.listing.leave().await
    }

    /// Stops. What is open is taken up by the next start.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Adds the service's HTTP routes.
///
/// `runners` lets runners in, which may register and nothing else; `guard` lets in the other services.
pub fn routes(config: &mut ServiceConfig, guard: &Guard, runners: &Guard, selling: &Arc<dyn Selling>) {
    call_route::<RegisterRunner, dyn Selling>(config, runners, selling);
    call_route::<GetSellingStatus, dyn Selling>(config, guard, selling);
}

/// What stands behind the mailbox.
struct Front(Arc<Seller>);

#[async_trait]
impl Serve<RegisterRunner> for Front {
    async fn ask(&self, call: RegisterRunner) -> Result<RunnerLease, SellingError> {
        Ok(RunnerLease { for_ms: self.0.runners.register(call)? })
    }
}

#[async_trait]
impl Serve<GetSellingStatus> for Front {
    async fn ask(&self, _: GetSellingStatus) -> Result<SellingStatus, SellingError> {
        let open = self.0.ledger.store.selling_list_open().await;
        let open = open.map_err(|error| SellingError::Unavailable { reason: error.to_string() })?;
        let (refusing, next_step) = match self.0.listing.problem() {
            Some(Problem { reason, next_step }) => (Some(reason), Some(next_step)),
            None => (None, None),
        };
        Ok(SellingStatus {
            provider: self.0.wallet,
            on_offer: self.0.listing.is_on_offer(),
            refusing,
            next_step,
            open_jobs: u32::try_from(open.len()).unwrap_or(u32::MAX),
            runners: self.0.runners.count(),
            slots: self.0.runners.limit(),
            each_runner: self.0.runners.shown(),
            sold: self.0.sold.total(),
        })
    }
}

/// A set of jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs(Arc<Mutex<HashSet<JobId>>>);

impl Jobs {
    /// Adds a job; `false` if it was there.
    pub(super) fn insert(&self, job: JobId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job)
    }

    /// Adds a job to a set that may forget: of too many, none is known any more.
    pub(super) fn insert_of_few(&self, job: JobId) {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= REMEMBERED_JOBS {
            jobs.clear();
        }
        jobs.insert(job);
    }

    /// Those that are in it now.
    pub(super) fn all(&self) -> HashSet<JobId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn contains(&self, job: &JobId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(job)
    }

    pub(super) fn remove(&self, job: &JobId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }
}

/// Things that somebody works on now.
#[derive(Clone, Debug)]
pub(super) struct Under<T: Eq + Hash + Copy>(Arc<Mutex<HashSet<T>>>);

impl<T: Eq + Hash + Copy> Default for Under<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Eq + Hash + Copy> Under<T> {
    /// Enters a thing; `None` if somebody works on it already.
    pub(super) fn enter(&self, thing: T) -> Option<Entered<T>> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(thing);
        is_new.then(|| Entered { of: self.clone(), thing })
    }
}

/// Leaves when dropped.
#[derive(Debug)]
pub(super) struct Entered<T: Eq + Hash + Copy> {
    of: Under<T>,
    thing: T,
}

impl<T: Eq + Hash + Copy> Drop for Entered<T> {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.thing);
    }
}

/// Tokens sold since the start.
#[derive(Debug, Default)]
pub(super) struct Sold {
    prompt: AtomicU64,
    completion: AtomicU64,
}

impl Sold {
    pub(super) fn add(&self, usage: TokenUsage) {
        self.prompt.fetch_add(usage.prompt, Ordering::Relaxed);
        self.completion.fetch_add(usage.completion, Ordering::Relaxed);
    }

    fn total(&self) -> TokenUsage {
        TokenUsage {
            prompt: self.prompt.load(Ordering::Relaxed),
            completion: self.completion.load(Ordering::Relaxed),
        }
    }
}
