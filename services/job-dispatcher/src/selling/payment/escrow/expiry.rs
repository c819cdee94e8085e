//! Old rows, dropped now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use t4t_clock::SharedClock;
use t4t_store::{Store, StoreError};

/// How often old rows are dropped.
const EXPIRE_EVERY_MS: u64 = 60_000;

/// What happened to jobs is kept this long.
const HISTORY_KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// Notices are kept this long; a job is posted within seconds of its notice.
const NOTICES_KEPT_MS: u64 = 3_600_000;

/// Drops old rows.
pub(super) struct Expiry {
    store: Store,
    clock: SharedClock,
    keep_answers_ms: u64,
    last_ms: AtomicU64,
}

impl Expiry {
    pub(super) fn new(store: Store, clock: SharedClock, keep_answers: Duration) -> Self {
        let keep_answers_ms = u64::try_from(keep_answers.as_millis()).unwrap_or(u64::MAX);
        Self { store, clock, keep_answers_ms, last_ms: AtomicU64::new(0) }
    }

    /// Drops what is old, unless that was done a moment ago.
    pub(super) async fn run_now_and_then(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_millis();
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(last_ms) < EXPIRE_EVERY_MS {
            return Ok(());
        }
        self.last_ms.store(now_ms, Ordering::Relaxed);
        self.store.envelopes_expire(self.clock.now()).await?;
        self.store.notices_expire(now_ms.saturating_sub(NOTICES_KEPT_MS)).await?;
        self.store.selling_answers_expire(now_ms.saturating_sub(self.keep_answers_ms)).await?;
        self.store.history_expire(now_ms.saturating_sub(HISTORY_KEPT_MS)).await?;
        Ok(())
    }
}
