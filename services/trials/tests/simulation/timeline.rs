//! Virtual time: everything that happens, one thing after the other, in an order that the seed decides.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use t4t_clock::Clock;
use t4t_types::UnixSeconds;
use tokio::sync::oneshot;

/// Something that is to happen.
pub(crate) enum Happening {
    /// A sleeper wakes.
    Wake(oneshot::Sender<()>),
    /// Something is done.
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
struct Inner {
    now_ms: u64,
    order: u64,
    to_come: BinaryHeap<Reverse<Entry>>,
    dice: u64,
}

/// Time, and what is to come. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Timeline(Arc<Mutex<Inner>>);

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeline({} ms)", self.now_ms())
    }
}

impl Timeline {
    pub(crate) fn new(start_ms: u64, seed: u64) -> Self {
        let inner = Inner { now_ms: start_ms, dice: seed, ..Inner::default() };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.inner().now_ms
    }

    /// Throws a die with so many sides.
    pub(crate) fn throw(&self, sides: u64) -> u64 {
        let mut inner = self.inner();
        // SplitMix64.
        inner.dice = inner.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = inner.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn permille(&self, of_thousand: u64) -> bool {
        self.throw(1000) < of_thousand
    }

    /// Lets something happen after `wait`.
    pub(crate) fn after(&self, wait: Duration, what: Happening) {
        let mut inner = self.inner();
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let (at_ms, order) = (inner.now_ms.saturating_add(wait), inner.order);
        inner.order += 1;
        inner.to_come.push(Reverse(Entry { at_ms, order, what }));
    }

    /// Does something after `wait`.
    pub(crate) fn later(&self, wait: Duration, work: impl FnOnce() + Send + 'static) {
        self.after(wait, Happening::Do(Box::new(work)));
    }

    /// Moves time on to the next thing that still matters to somebody, and lets it happen. `false` at the end of the
    /// world.
    pub(crate) fn step(&self) -> bool {
        loop {
            let what = {
                let mut inner = self.inner();
                let Some(Reverse(entry)) = inner.to_come.pop() else { return false };
                if matches!(&entry.what, Happening::Wake(sleeper) if sleeper.is_closed()) {
                    continue;
                }
                inner.now_ms = inner.now_ms.max(entry.at_ms);
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
    pub(crate) fn end(&self) {
        let to_come = std::mem::take(&mut self.inner().to_come);
        // Dropped outside the lock: sleepers may ask for the time.
        drop(to_come);
    }

    /// Sleeps on the timeline.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let (wake, woken) = oneshot::channel();
        self.after(duration, Happening::Wake(wake));
        // Never closed before it happened, but at the end of the world.
        if woken.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A machine's clock: it goes on evenly, and may show another time.
#[derive(Debug)]
pub(crate) struct MachineClock {
    timeline: Timeline,
    skew_ms: AtomicI64,
}

impl MachineClock {
    pub(crate) fn new(timeline: &Timeline) -> Arc<Self> {
        Arc::new(Self { timeline: timeline.clone(), skew_ms: AtomicI64::new(0) })
    }

    /// Makes it show a time that is wrong by so much.
    pub(crate) fn skew(&self, millis: i64) {
        self.skew_ms.store(millis, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for MachineClock {
    fn unix_millis(&self) -> u64 {
        self.timeline.now_ms()
    }

    fn now(&self) -> UnixSeconds {
        let shown_ms = self.timeline.now_ms().saturating_add_signed(self.skew_ms.load(Ordering::Relaxed));
        UnixSeconds::new(shown_ms / 1000)
    }

    async fn sleep(&self, duration: Duration) {
        self.timeline.sleep(duration).await;
    }
}
