//! How long to wait for a backend's next sign of life, over several waits.

use std::pin::Pin;
use std::time::Duration;

use t4t_clock::SharedClock;

/// The deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeadlinePassed;

/// A limit that runs through several waits until it is set anew.
pub(crate) struct Deadline {
    clock: SharedClock,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Deadline {
    /// A deadline `limit` from now.
    pub(crate) fn after(clock: SharedClock, limit: Duration) -> Self {
        Self { end: sleep(clock.clone(), limit), clock }
    }

    /// Moves it to `limit` from now.
    pub(crate) fn renew(&mut self, limit: Duration) {
        self.end = sleep(self.clock.clone(), limit);
    }

    /// Waits for `work`, but not beyond the deadline; not to be called again once that has passed.
    pub(crate) async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, DeadlinePassed> {
        tokio::select! {
            biased;
            // First, or work that is always ready would never run out of time.
            () = &mut self.end => Err(DeadlinePassed),
            done = work => Ok(done),
        }
    }
}

fn sleep(clock: SharedClock, limit: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { clock.sleep(limit).await })
}
