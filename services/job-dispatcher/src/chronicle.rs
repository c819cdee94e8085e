//! What happened to a job when: one line in the log and one row for `t4t jobs show`.

use t4t_clock::SharedClock;
use t4t_store::{HistoryEntry, NewHistoryEntry, Side, Store};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Events that wait to be written. They are for people: beyond it they are dropped rather than hold up a job.
const WAITING: usize = 4096;

/// Events written in one commit.
const BATCH: usize = 256;

/// Writes down what happens to the jobs of one side, beside the jobs' own way: what counts is in their rows.
#[derive(Clone, Debug)]
pub(crate) struct Chronicle {
    side: Side,
    clock: SharedClock,
    waiting: mpsc::Sender<NewHistoryEntry>,
}

impl Chronicle {
    /// Starts the writer. Must be called inside a Tokio runtime.
    pub(crate) fn new(side: Side, store: Store, clock: SharedClock) -> Self {
        let (waiting, entries) = mpsc::channel(WAITING);
        tokio::spawn(write(store, entries));
        Self { side, clock, waiting }
    }

    /// Notes an event of a request (buying) or job (selling).
    pub(crate) fn note(&self, subject: &[u8; 32], event: &str, detail: impl Into<String>) {
        let detail = detail.into();
        let id = hex::encode(subject);
        info!(side = ?self.side, %id, event, %detail, "job");
        let entry = HistoryEntry { at_ms: self.clock.unix_millis(), event: event.to_owned(), detail };
        if self.waiting.try_send(NewHistoryEntry { side: self.side, subject: *subject, entry }).is_err() {
            warn!(%id, event, "the job's history is incomplete: too many events wait");
        }
    }
}

async fn write(store: Store, mut entries: mpsc::Receiver<NewHistoryEntry>) {
    let mut batch = Vec::with_capacity(BATCH);
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        if let Err(error) = store.history_insert_all(&batch).await {
            warn!(error = &error as &dyn std::error::Error, "the jobs' history could not be written");
        }
        batch.clear();
    }
}
