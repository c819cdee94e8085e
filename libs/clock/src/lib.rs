//! The clock that everything timed is handed.
//!
//! Nothing in the house reads the system's time or sleeps by itself: a test hands in a [`ManualClock`] and moves it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use t4t_types::UnixSeconds;
use tokio::sync::Notify;

mod system;

pub use system::SystemClock;

/// Time as the house sees it.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// Milliseconds since 1970 (UTC), for measuring how long something takes: it goes on evenly, whatever the machine's
    /// clock is set to.
    fn unix_millis(&self) -> u64;

    /// Returns once `duration` has passed on this clock.
    async fn sleep(&self, duration: Duration);

    /// Seconds since 1970 (UTC), for what others are told: what the machine's clock shows.
    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(self.unix_millis() / 1000)
    }
}

/// A clock that is shared by everything in a process.
pub type SharedClock = Arc<dyn Clock>;

/// The limit ran out before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Runs `work`, but for at most `limit` on `clock`.
pub async fn timeout<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = clock.sleep(limit) => Err(Elapsed),
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: Mutex<u64>,
    moved: Notify,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: UnixSeconds) -> Arc<Self> {
        Arc::new(Self { millis: Mutex::new(start.get().saturating_mul(1000)), moved: Notify::new() })
    }

    /// Moves the clock on and wakes whoever slept long enough.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let mut millis = self.millis.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *millis = millis.saturating_add(by);
        drop(millis);
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn unix_millis(&self) -> u64 {
        *self.millis.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        let wait = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let wake_at = self.unix_millis().saturating_add(wait);
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Registered before the time is read, so that a move in between is not missed.
            moved.as_mut().enable();
            if self.unix_millis() >= wake_at {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_has_moved_far_enough() {
        let clock = ManualClock::new(UnixSeconds::new(1000));
        let sleeper = tokio::spawn({
            let clock = Arc::clone(&clock);
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        // It reads the time when it is first polled.
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), UnixSeconds::new(1010));
    }

    #[tokio::test]
    async fn work_that_never_ends_is_stopped_at_its_limit() {
        let limit = Duration::from_millis(1);
        assert_eq!(timeout(&SystemClock, limit, std::future::pending::<()>()).await, Err(Elapsed));
    }
}
