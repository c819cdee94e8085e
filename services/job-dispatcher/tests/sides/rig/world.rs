//! The world around both sides: its time, its chain, its Swarm, and the strangers in it.
//!
//! With a timeline everything takes a millisecond at least and nothing happens by itself; with a real clock, as benches
//! have it, everything is done at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use t4t_api::registry_watcher::{JobEvent, JobHappening, JobRole};
use t4t_api::settlement::{SettlementError, TransactionIntent};
use t4t_clock::SharedClock;
use t4t_testkit::virtual_time::Timeline;
use t4t_types::{Address, JobId, TxHash, UnixSeconds};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::carrier::Swarm;
use super::chain::{Chain, Told};

/// A lock that a task which died does not close.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where every world begins: a minute of 2023.
pub(crate) const BEGIN_MS: u64 = 1_700_000_000_000;

/// The time that anything takes.
const A_MOMENT: Duration = Duration::from_millis(1);

/// What becomes of a transaction that is handed to settlement.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It gets into a block after a while.
    PendingFor(Duration),
    /// It waits for a block until [`World::mine_all`].
    Stuck,
    /// It gets into a block, and the contract refuses it.
    Reverts(&'static str),
    /// Settlement does not take it.
    NotTaken(SettlementError),
    /// Settlement takes it, and the answer does not come back.
    ReplyLost(SettlementError),
}

/// A fate for the next transactions of a wallet whose key begins so.
#[derive(Debug)]
struct Ordered {
    wallet: Address,
    key: &'static str,
    fate: Fate,
    times: u32,
}

struct Follower {
    wallet: Address,
    role: JobRole,
    events: mpsc::UnboundedSender<JobEvent>,
}

/// Somebody who acts when a job is posted to it.
pub(crate) trait Stranger: Send + Sync {
    fn posted(&self, world: &Arc<World>, job: JobId);
}

/// How time passes.
enum Pace {
    /// On a timeline, and only when everybody rests.
    Timeline(Timeline),
    /// By itself; what is to come is done at once, on this runtime.
    AtOnce(Handle),
}

/// The world.
pub(crate) struct World {
    pub(crate) clock: SharedClock,
    pace: Pace,
    chain: Mutex<Chain>,
    pub(crate) swarm: Swarm,
    ordered: Mutex<Vec<Ordered>>,
    followers: Mutex<Vec<Follower>>,
    strangers: Mutex<HashMap<Address, Arc<dyn Stranger>>>,
    /// Moves on whenever a transaction does.
    mined: watch::Sender<u64>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl World {
    /// A world in which time passes on `timeline`.
    pub(crate) fn on(timeline: &Timeline) -> Arc<Self> {
        Self::with(timeline.clock(), Pace::Timeline(timeline.clone()))
    }

    /// A world in which everything is done at once.
    pub(crate) fn at_once(clock: SharedClock, runtime: Handle) -> Arc<Self> {
        Self::with(clock, Pace::AtOnce(runtime))
    }

    fn with(clock: SharedClock, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            clock,
            pace,
            chain: Mutex::new(Chain::new()),
            swarm: Swarm::default(),
            ordered: Mutex::default(),
            followers: Mutex::default(),
            strangers: Mutex::default(),
            mined: watch::channel(0).0,
        })
    }

    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        lock(&self.chain)
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// The newest block, which others make too.
    pub(crate) fn head_block(&self) -> u64 {
        self.chain().block + self.clock.unix_millis().saturating_sub(BEGIN_MS) / 5000
    }

    /// Does something after `wait`, and not within whoever asks for it.
    pub(crate) fn later(&self, wait: Duration, work: impl FnOnce() + Send + 'static) {
        match &self.pace {
            Pace::Timeline(timeline) => timeline.later(wait.max(A_MOMENT), work),
            Pace::AtOnce(runtime) => drop(runtime.spawn(async { work() })),
        }
    }

    /// Decides the fate of the next `times` transactions of a wallet whose key begins with `key`.
    pub(crate) fn order(&self, wallet: Address, key: &'static str, fate: Fate, times: u32) {
        lock(&self.ordered).push(Ordered { wallet, key, fate, times });
    }

    pub(crate) fn fate_of(&self, wallet: Address, key: &str) -> Option<Fate> {
        let mut ordered = lock(&self.ordered);
        let found = ordered
            .iter_mut()
            .find(|one| one.times > 0 && one.wallet == wallet && key.starts_with(one.key))?;
        found.times -= 1;
        Some(found.fate.clone())
    }

    /// Lets somebody act on the jobs that are posted to a provider.
    pub(crate) fn settle_in(&self, provider: Address, stranger: Arc<dyn Stranger>) {
        lock(&self.strangers).insert(provider, stranger);
    }

    /// Puts a transaction into a block now.
    pub(crate) fn mine(self: &Arc<Self>, hash: TxHash, revert: Option<&str>) {
        let now = self.now();
        let told = self.chain().mine(hash, now, revert);
        self.mined.send_modify(|mined| *mined += 1);
        self.tell(told);
    }

    /// Puts what waits and is wanted into blocks, in the order in which it was sent.
    pub(crate) fn mine_all(self: &Arc<Self>, is_wanted: impl Fn(&TransactionIntent) -> bool) {
        use t4t_api::settlement::TransactionOutcome::Pending;
        let waiting: Vec<TxHash> = {
            let chain = self.chain();
            let pending = chain.transactions.iter().filter(|known| known.outcome == Pending);
            pending.filter(|known| is_wanted(&known.intent)).map(|known| known.hash).collect()
        };
        waiting.into_iter().for_each(|hash| self.mine(hash, None));
    }

    /// Posts a job with whatever terms a client can write.
    pub(crate) fn post(self: &Arc<Self>, terms: t4t_types::JobTerms) -> JobId {
        let (job, told) = self.chain().post_raw(terms, self.clock.now());
        self.tell(told);
        job
    }

    /// Goes back to an earlier chain and tells of it.
    pub(crate) fn reorganise_to(self: &Arc<Self>, then: Chain) {
        let told = self.chain().reorganise_to(then);
        self.mined.send_modify(|mined| *mined += 1);
        self.tell(told);
    }

    pub(crate) fn mined(&self) -> watch::Receiver<u64> {
        self.mined.subscribe()
    }

    /// Follows a wallet's jobs: what is known since a block, then what comes.
    pub(crate) fn follow(
        &self,
        wallet: Address,
        role: JobRole,
        since_block: Option<u64>,
    ) -> mpsc::UnboundedReceiver<JobEvent> {
        let (events, receiver) = mpsc::unbounded_channel();
        if let Some(since) = since_block {
            let chain = self.chain();
            let known = chain.told.iter().filter(|told| told.concerns(wallet, role));
            for told in known.filter(|told| told.event.block >= since) {
                // The receiver is here.
                drop(events.send(told.event.clone()));
            }
        }
        lock(&self.followers).push(Follower { wallet, role, events });
        receiver
    }

    fn tell(self: &Arc<Self>, told: Vec<Told>) {
        for told in told {
            let world = Arc::clone(self);
            self.later(A_MOMENT, move || world.tell_now(&told));
        }
    }

    fn tell_now(self: &Arc<Self>, told: &Told) {
        let mut followers = lock(&self.followers);
        followers.retain(|follower| !follower.events.is_closed());
        for follower in followers.iter().filter(|one| told.concerns(one.wallet, one.role)) {
            drop(follower.events.send(told.event.clone()));
        }
        drop(followers);
        if let JobHappening::Posted { provider, .. } = told.event.what {
            let stranger = lock(&self.strangers).get(&provider).cloned();
            if let Some(stranger) = stranger {
                stranger.posted(self, told.event.job);
            }
        }
    }
}
