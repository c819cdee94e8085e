//! How long to wait for a backend's next sign of life.

use std::pin::Pin;
use std::time::Duration;

use t4t_clock::SharedClock;

/// Time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfPatience;

/// A limit that runs through several waits until it is set anew.
pub(crate) struct Patience {
    clock: SharedClock,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Patience {
    /// Patience that lasts for `limit` from now.
    pub(crate) fn new(clock: SharedClock, limit: Duration) -> Self {
        Self { end: sleep(clock.clone(), limit), clock }
    }

    /// Makes it last for `limit` from now.
    pub(crate) fn renew(&mut self, limit: Duration) {
        self.end = sleep(self.clock.clone(), limit);
    }

    /// Waits for `work` as long as patience lasts; not to be called again once it has run out.
    pub(crate) async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, OutOfPatience> {
        tokio::select! {
            biased;
            // First, or work that is always ready would never run out of time.
            () = &mut self.end => Err(OutOfPatience),
            done = work => Ok(done),
        }
    }
}

fn sleep(clock: SharedClock, limit: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { clock.sleep(limit).await })
}
