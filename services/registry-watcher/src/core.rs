//! What all parts of the watcher share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use t4t_api::registry_watcher::WatcherError;
use t4t_chain::Rpc;
use t4t_clock::SharedClock;
use t4t_runtime::StopSignal;
use t4t_store::Store;
use tokio::sync::{Notify, watch};

use crate::config::{WatcherConfig, WatcherDeps};
use crate::directory::{Directory, SeenHead};
use crate::keys::Keys;

/// The service's name, for errors.
pub(crate) const SERVICE: &str = "registry-watcher";

/// How well the watcher follows the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// The registry is being read for the first time; most questions are refused.
    Loading,
    /// The last look at the chain succeeded.
    Synced {
        /// The newest block seen.
        block: u64,
        /// Live providers whose key no two endpoints have named alike: they are not offered with it.
        unconfirmed: usize,
    },
    /// Looks at the chain fail; questions are answered from what is known, if the registry was ever read.
    Failing {
        /// Whether questions are answered.
        ready: bool,
        /// Why they fail.
        reason: String,
    },
}

impl SyncState {
    /// Whether questions are answered.
    pub const fn is_ready(&self) -> bool {
        match self {
            Self::Loading => false,
            Self::Synced { .. } => true,
            Self::Failing { ready, .. } => *ready,
        }
    }
}

/// What all parts of the watcher share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: WatcherConfig,
    pub(crate) rpc: Rpc,
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
    directory: RwLock<Option<Arc<Directory>>>,
    head: RwLock<Option<SeenHead>>,
    /// Keys that two endpoints have named.
    pub(crate) keys: Keys,
    /// Live providers whose key is not among them, as of the last look.
    pub(crate) unconfirmed: AtomicUsize,
    /// Number of the newest event about a job that is kept.
    pub(crate) newest: watch::Sender<u64>,
    /// Number up to which such events may have been forgotten.
    pub(crate) forgotten: AtomicU64,
    pub(crate) state: watch::Sender<SyncState>,
    /// Until when to look closely, in milliseconds since 1970.
    closely_until: AtomicU64,
    /// Wakes whoever waits for the next look.
    pub(crate) wake: Notify,
    pub(crate) stop: StopSignal,
}

impl Core {
    pub(crate) fn new(config: WatcherConfig, deps: WatcherDeps, newest: u64) -> Self {
        let WatcherDeps { rpc, store, clock } = deps;
        Self {
            config,
            rpc,
            store,
            clock,
            directory: RwLock::default(),
            head: RwLock::default(),
            keys: Keys::default(),
            unconfirmed: AtomicUsize::new(0),
            newest: watch::Sender::new(newest),
            forgotten: AtomicU64::new(0),
            state: watch::Sender::new(SyncState::Loading),
            closely_until: AtomicU64::new(0),
            wake: Notify::new(),
            stop: StopSignal::new(),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.unix_millis()
    }

    /// The directory as of the last look at the chain.
    pub(crate) fn directory(&self) -> Result<Arc<Directory>, WatcherError> {
        self.published().ok_or(WatcherError::NotReady)
    }

    /// The same; `None` before the registry was read.
    pub(crate) fn published(&self) -> Option<Arc<Directory>> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest block; `None` before the chain was read.
    pub(crate) fn head(&self) -> Option<SeenHead> {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_head(&self, head: SeenHead) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    pub(crate) fn publish(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(directory));
    }

    pub(crate) fn is_close(&self) -> bool {
        self.closely_until.load(Ordering::Relaxed) > self.now_ms()
    }

    pub(crate) fn look_closely(&self, for_ms: u64) {
        let until = self.now_ms().saturating_add(for_ms);
        self.closely_until.fetch_max(until, Ordering::Relaxed);
        self.wake.notify_one();
    }
}
