//! What happened to a job when: one line in the log and one row for `t4t jobs show`.

use t4t_clock::SharedClock;
use t4t_store::{HistoryEntry, Side, Store};
use tracing::{info, warn};

/// Writes down what happens to the jobs of one side.
#[derive(Clone, Debug)]
pub(crate) struct Chronicle {
    side: Side,
    store: Store,
    clock: SharedClock,
}

impl Chronicle {
    pub(crate) fn new(side: Side, store: Store, clock: SharedClock) -> Self {
        Self { side, store, clock }
    }

    /// Notes an event of a request (buying) or job (selling). It is for people: a row that can't be written is logged
    /// and stops nothing.
    pub(crate) async fn note(&self, subject: &[u8; 32], event: &str, detail: impl Into<String>) {
        let detail = detail.into();
        let id = hex::encode(subject);
        info!(side = ?self.side, %id, event, %detail, "job");
        let entry = HistoryEntry { at_ms: self.clock.unix_millis(), event: event.to_owned(), detail };
        if let Err(error) = self.store.history_insert(self.side, subject, &entry).await {
            warn!(%id, event, error = &error as &dyn std::error::Error, "the job's history could not be written");
        }
    }
}
