//! Starting and stopping.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::WatcherError;
use t4t_api::{Desk, RegistryWatcher};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::config::{WatcherConfig, WatcherDeps};
use crate::core::{Core, SERVICE, SyncState};
use crate::error::StartError;
use crate::outage::Outage;
use crate::service::Watcher;
use crate::sync::Sync;

/// The registry watcher.
#[derive(Debug)]
pub struct RegistryWatcherService;

impl RegistryWatcherService {
    /// Starts following the chain. Returns at once: [`Running::synced`] tells when questions are answered, which takes as
    /// long as the registry is being read, and as long as the chain can't be reached.
    ///
    /// Must be called from the process's main task or an actix arbiter.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn start(config: WatcherConfig, deps: WatcherDeps) -> Result<Running, StartError> {
        let slots = config.slots;
        Self::start_behind(config, deps, |watcher| Arc::new(Desk::start(SERVICE, watcher, slots))).await
    }

    /// The same without a mailbox: whoever asks is answered where it asks. For simulations on one thread, whose order
    /// of events is decided by a seed; what is asked is not bounded.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_without_mailbox(
        config: WatcherConfig,
        deps: WatcherDeps,
    ) -> Result<Running, StartError> {
        Self::start_behind(config, deps, |watcher| watcher).await
    }

    async fn start_behind(
        config: WatcherConfig,
        deps: WatcherDeps,
        front: impl FnOnce(Arc<Watcher>) -> Arc<dyn RegistryWatcher>,
    ) -> Result<Running, StartError> {
        let newest = deps.store.job_logs_newest().await?;
        let kept = deps.store.confirmed_keys_list(config.contracts.registry).await?;
        let core = Arc::new(Core::new(config, deps, newest));
        core.keys.take(&kept);
        let watcher = front(Arc::new(Watcher(Arc::clone(&core))));
        let sync = Arc::new(Mutex::new(Sync::new(Arc::clone(&core))));
        let task = tokio::spawn(follow_chain(Arc::clone(&core), Arc::clone(&sync)));
        Ok(Running { core, watcher, sync, task })
    }
}

/// A watcher that runs. Dropping it leaves it running.
pub struct Running {
    core: Arc<Core>,
    watcher: Arc<dyn RegistryWatcher>,
    sync: Arc<Mutex<Sync>>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("state", &*self.core.state.borrow()).finish_non_exhaustive()
    }
}

impl Running {
    /// The watcher as its callers see it.
    pub fn watcher(&self) -> Arc<dyn RegistryWatcher> {
        Arc::clone(&self.watcher)
    }

    /// How well it follows the chain.
    pub fn synced(&self) -> watch::Receiver<SyncState> {
        self.core.state.subscribe()
    }

    /// Looks at the chain now, and returns when all that it showed is known.
    ///
    /// # Errors
    /// The chain can't be read or the database can't be used.
    pub async fn sync_once(&self) -> Result<(), WatcherError> {
        self.sync.lock().await.look().await.map_err(|error| WatcherError::from(&error))
    }

    /// Stops looking and ends the streams of events. What is known is still answered.
    pub async fn stop(self) {
        self.core.stop.stop();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the watcher's task failed");
        }
    }
}

/// Looks at the chain until it is time to stop.
async fn follow_chain(core: Arc<Core>, sync: Arc<Mutex<Sync>>) {
    let mut outage = Outage::default();
    loop {
        let Some(()) = core.stop.unless_stopped(look(&core, &sync, &mut outage)).await else { return };
        let Some(()) = core.stop.unless_stopped(wait(&core, &sync)).await else { return };
    }
}

async fn look(core: &Core, sync: &Mutex<Sync>, outage: &mut Outage) {
    match sync.lock().await.look().await {
        Ok(()) => outage.ended(core.now_ms()),
        Err(error) => outage.failed(&error, core.now_ms()),
    };
}

/// Waits until it is time to look again; a hint shortens that, but never below the close interval.
async fn wait(core: &Core, sync: &Mutex<Sync>) {
    let looked_at = core.now_ms();
    loop {
        let due = looked_at.saturating_add(sync.lock().await.pace.wait_ms(looked_at, core.is_close()));
        let left = due.saturating_sub(core.now_ms());
        if left == 0 {
            return;
        }
        tokio::select! {
            () = core.clock.sleep(Duration::from_millis(left)) => return,
            () = core.wake.notified() => {}
        }
    }
}
