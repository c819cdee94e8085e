//! Virtual time: machines whose services run on a clock that moves only when none of them can go on.
//!
//! A [`Timeline`] holds what is to come. A [`Machine`] is a runtime of one thread with a database, and is pulled like a
//! plug. Between two steps of the timeline every machine is let do whatever it can: a quarter of an hour of a market takes
//! milliseconds, and a busy computer makes no timeout expire.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::Path;
#[cfg(debug_assertions)]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use t4t_clock::{Clock, SharedClock};
use t4t_store::Store;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Real time that a machine may take for one thing; beyond it, something waits for what never comes.
const STUCK_AFTER: Duration = Duration::from_secs(60);

enum Happening {
    Wake(oneshot::Sender<()>),
    Do(Box<dyn FnOnce() + Send>),
}

struct Entry {
    at_ms: u64,
    order: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

#[derive(Default)]
struct ToCome {
    now_ms: u64,
    order: u64,
    heap: BinaryHeap<Reverse<Entry>>,
}

/// Time, and what is to come. Clones are the same one; it is a clock as well.
#[derive(Clone, Default)]
pub struct Timeline(Arc<Mutex<ToCome>>);

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeline({} ms)", self.now_ms())
    }
}

impl Timeline {
    /// A timeline that begins at `start_ms`, in milliseconds since 1970.
    pub fn new(start_ms: u64) -> Self {
        Self(Arc::new(Mutex::new(ToCome { now_ms: start_ms, ..ToCome::default() })))
    }

    fn to_come(&self) -> MutexGuard<'_, ToCome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.to_come().now_ms
    }

    /// The clock that shows it.
    pub fn clock(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    fn after(&self, wait: Duration, what: Happening) {
        let mut to_come = self.to_come();
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let (at_ms, order) = (to_come.now_ms.saturating_add(wait), to_come.order);
        to_come.order += 1;
        to_come.heap.push(Reverse(Entry { at_ms, order, what }));
    }

    /// Does something after `wait`.
    pub fn later(&self, wait: Duration, work: impl FnOnce() + Send + 'static) {
        self.after(wait, Happening::Do(Box::new(work)));
    }

    /// Moves time on to the next thing that still matters to somebody, and lets it happen. `false` if nothing is to come.
    pub fn step(&self) -> bool {
        loop {
            let what = {
                let mut to_come = self.to_come();
                let Some(Reverse(entry)) = to_come.heap.pop() else { return false };
                if matches!(&entry.what, Happening::Wake(sleeper) if sleeper.is_closed()) {
                    continue;
                }
                to_come.now_ms = to_come.now_ms.max(entry.at_ms);
                entry.what
            };
            match what {
                // A sleeper that has gone meanwhile needs no waking.
                Happening::Wake(sleeper) => drop(sleeper.send(())),
                Happening::Do(work) => work(),
            }
            return true;
        }
    }

    /// Forgets what is to come: it holds on to the world that it would happen to.
    pub fn end(&self) {
        let heap = std::mem::take(&mut self.to_come().heap);
        // Dropped outside the lock: sleepers may ask for the time.
        drop(heap);
    }
}

#[async_trait]
impl Clock for Timeline {
    fn unix_millis(&self) -> u64 {
        self.now_ms()
    }

    async fn sleep(&self, duration: Duration) {
        let (wake, woken) = oneshot::channel();
        self.after(duration, Happening::Wake(wake));
        // Never closed before it happened, but at the timeline's end.
        if woken.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What became of a machine that was let do whatever it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is off, or waits for the world.
    Rests,
    /// It died at the kill point that it was to die at, and is off.
    Died,
}

/// A runtime of one thread with a database, running or not.
#[derive(Debug)]
pub struct Machine {
    name: String,
    power: Option<Power>,
    #[cfg(debug_assertions)]
    dies_at: Option<(t4t_runtime::KillPoint, Arc<AtomicU32>)>,
}

#[derive(Debug)]
struct Power {
    runtime: Runtime,
    rest: Arc<Rest>,
}

/// Finds out when nothing moves any more, or when the machine is dead.
#[derive(Debug, Default)]
struct Rest {
    rests: AtomicBool,
    died: AtomicBool,
    store: Mutex<Option<Store>>,
    waker: Mutex<Option<Waker>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rest {
    /// No task can go on. If the database is idle too, the machine waits for the world.
    fn parks(&self) {
        if lock(&self.store).as_ref().is_none_or(Store::is_idle) {
            self.rests.store(true, Ordering::SeqCst);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }
}

impl Machine {
    /// A machine that is off.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            power: None,
            #[cfg(debug_assertions)]
            dies_at: None,
        }
    }

    /// Whether it runs.
    pub fn is_on(&self) -> bool {
        self.power.is_some()
    }

    /// Boots it: opens the database and runs what `live` makes of it.
    ///
    /// # Errors
    /// The database can't be opened.
    pub fn start<F>(&mut self, database: &Path, live: impl FnOnce(Store) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let rest = Arc::new(Rest::default());
        let parking = Arc::clone(&rest);
        let runtime = Builder::new_current_thread()
            .enable_all()
            // A machine that died is found dead before another task goes on.
            .event_interval(1)
            .on_thread_park(move || parking.parks())
            .build()?;
        let store = runtime.block_on(Store::open_in_order(database))?;
        *lock(&rest.store) = Some(store.clone());
        runtime.spawn(live(store));
        self.power = Some(Power { runtime, rest });
        Ok(())
    }

    /// Pulls its plug: what it was doing ends where it stands.
    pub fn kill(&mut self) {
        self.power = None;
    }

    /// Runs something more on it, if it is on.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(power) = &self.power {
            power.runtime.spawn(work);
        }
    }

    /// Lets it die when it passes a kill point for the `passage`-th time from now on.
    #[cfg(debug_assertions)]
    pub fn dies_at(&mut self, point: t4t_runtime::KillPoint, passage: u32) {
        self.dies_at = Some((point, Arc::new(AtomicU32::new(passage))));
    }

    /// Lets it do whatever it can do now.
    ///
    /// # Errors
    /// It never comes to rest.
    pub fn settle(&mut self) -> anyhow::Result<Settled> {
        let Some(power) = &self.power else { return Ok(Settled::Rests) };
        let rest = Arc::clone(&power.rest);
        rest.rests.store(false, Ordering::SeqCst);
        #[cfg(debug_assertions)]
        let _watching = self.watch();
        let resting = poll_fn(|context| {
            if rest.rests.load(Ordering::SeqCst) || rest.died.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *lock(&rest.waker) = Some(context.waker().clone());
            Poll::Pending
        });
        let settled = power.runtime.block_on(async { tokio::time::timeout(STUCK_AFTER, resting).await });
        settled.map_err(|_| anyhow::anyhow!("{} never comes to rest", self.name))?;
        if rest.died.load(Ordering::SeqCst) {
            #[cfg(debug_assertions)]
            {
                self.dies_at = None;
            }
            self.kill();
            return Ok(Settled::Died);
        }
        Ok(Settled::Rests)
    }

    /// Watches for the kill point at which the machine is to die.
    #[cfg(debug_assertions)]
    fn watch(&self) -> Option<t4t_runtime::kill_point::Watching> {
        let (point, passages_left) = self.dies_at.clone()?;
        let rest = Arc::clone(&self.power.as_ref()?.rest);
        Some(t4t_runtime::kill_point::watch(move |passed| {
            if passed != point || rest.died.load(Ordering::SeqCst) {
                return;
            }
            if passages_left.fetch_sub(1, Ordering::SeqCst) == 1 {
                rest.died.store(true, Ordering::SeqCst);
                rest.wake();
                // The task that passed ends here; no other goes on before the machine is found dead.
                std::panic::resume_unwind(Box::new("the machine died"));
            }
        }))
    }
}
