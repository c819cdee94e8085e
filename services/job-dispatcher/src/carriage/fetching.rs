//! Fetching what a peer named: bounded in time, and in memory by its size.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use t4t_clock::{Clock, timeout};
use t4t_swarm::{Admission, Carrier, Patience, SwarmError};
use t4t_types::SwarmRef;
use tokio::sync::Notify;

use super::budget::{BudgetShare, DownloadBudget, SMALL_BYTES};
use super::courier::{CourierError, Fetched};

/// How long one download may hold a share that others wait for, with 1 s more for each 100 kB of its size.
const SHARE_LIMIT: Duration = Duration::from_secs(20);
const SHARE_BYTES_A_SECOND: usize = 100_000;

/// Fetches a sealed payload that may not be there yet, within `limit`. A node says how long something is before it sends
/// it: the node is asked once and its answer waits for a share of the memory, since a download that is broken off begins
/// from nothing.
pub(super) async fn fetch(
    carrier: &dyn Carrier,
    budget: &DownloadBudget,
    clock: &dyn Clock,
    reference: SwarmRef,
    limit: Duration,
) -> Result<Fetched, CourierError> {
    let download = Download::new(budget);
    let fetching = Box::pin(download.run(carrier, clock, reference, Patience::up_to(limit)));
    match timeout(clock, limit, fetching).await {
        Err(t4t_clock::Elapsed) => Err(download.too_slow(limit)),
        Ok(Err(CourierError::Swarm(SwarmError::NotFound(_)))) => {
            Err(CourierError::NotThere { within: limit })
        }
        Ok(fetched) => fetched,
    }
}

/// One payload on its way into memory.
struct Download<'a> {
    budget: &'a DownloadBudget,
    share: Mutex<BudgetShare>,
    /// How long the payload is, once that shows.
    bytes: AtomicUsize,
    came: AtomicUsize,
    /// Told when a share that others may wait for was taken.
    admitted: Notify,
}

impl<'a> Download<'a> {
    fn new(budget: &'a DownloadBudget) -> Self {
        let (bytes, came) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { budget, share: Mutex::default(), bytes, came, admitted: Notify::new() }
    }

    async fn run(
        &self,
        carrier: &dyn Carrier,
        clock: &dyn Clock,
        reference: SwarmRef,
        patience: Patience,
    ) -> Result<Fetched, CourierError> {
        let fetching = carrier.download_admitted(&reference, patience, self);
        tokio::select! {
            fetched = fetching => Ok(Fetched { sealed: fetched?, share: self.take_share() }),
            limit = self.held_too_long(clock) => Err(self.too_slow(limit)),
        }
    }

    /// Returns once a share that others may wait for was held too long. The payload is there, or at least its beginning
    /// is: nobody has to wait long for the rest of it.
    async fn held_too_long(&self, clock: &dyn Clock) -> Duration {
        self.admitted.notified().await;
        let bytes = self.bytes.load(Ordering::Relaxed);
        let limit = SHARE_LIMIT + Duration::from_secs((bytes / SHARE_BYTES_A_SECOND) as u64);
        clock.sleep(limit).await;
        limit
    }

    fn take_share(&self) -> BudgetShare {
        std::mem::take(&mut *self.share.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn too_slow(&self, within: Duration) -> CourierError {
        let (bytes, came) = (self.bytes.load(Ordering::Relaxed), self.came.load(Ordering::Relaxed));
        if bytes == 0 {
            CourierError::NotThere { within }
        } else {
            CourierError::Slow { bytes, came, within }
        }
    }
}

#[async_trait]
impl Admission for Download<'_> {
    async fn admit(&self, bytes: usize) -> Result<usize, SwarmError> {
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
        if bytes <= SMALL_BYTES {
            return Ok(SMALL_BYTES);
        }
        let Some(class) = self.budget.class_of(bytes) else {
            return Err(SwarmError::TooLarge { what: "the content", limit: self.budget.largest() });
        };
        // Never two at once: what was taken before is given back first.
        drop(self.take_share());
        let share = class.share().await;
        *self.share.lock().unwrap_or_else(PoisonError::into_inner) = share;
        self.admitted.notify_one();
        Ok(class.bytes)
    }

    fn came(&self, bytes: usize) {
        self.came.store(bytes, Ordering::Relaxed);
    }
}
