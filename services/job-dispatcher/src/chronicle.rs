//! What happened to a job when: one line in the log and one row for `t4t jobs show`.

use t4t_clock::SharedClock;
use t4t_store::buying::BuyingJob;
use t4t_store::selling::SellingJob;
use t4t_store::{HistoryEntry, NewHistoryEntry, Side, Store};
use t4t_types::{JobId, RequestId, RoutingId};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Events that wait to be written. They are for people: beyond it they are dropped rather than hold up a job.
const WAITING: usize = 4096;

/// Events written in one commit.
const BATCH: usize = 256;

/// By what a job is named in logs, on both sides with the same words: `routing` is there on either side from the first
/// line on, `job` once the chain has one, `request` and `attempt` on the buying side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobName {
    request: Option<(RequestId, u32)>,
    job: Option<JobId>,
    routing: RoutingId,
}

impl JobName {
    /// The same with a job's id that was just learnt.
    pub(crate) fn learnt(self, job: Option<JobId>) -> Self {
        Self { job: job.or(self.job), ..self }
    }

    /// What the history is kept by.
    fn subject(&self) -> [u8; 32] {
        match (self.request, self.job) {
            (Some((request, _)), _) => *request.as_bytes(),
            (None, Some(job)) => *job.as_bytes(),
            (None, None) => *self.routing.as_bytes(),
        }
    }
}

impl From<&BuyingJob> for JobName {
    fn from(row: &BuyingJob) -> Self {
        let request = Some((row.request_id, row.attempt));
        Self { request, job: row.job, routing: row.request_hash.routing_id() }
    }
}

impl From<&SellingJob> for JobName {
    fn from(row: &SellingJob) -> Self {
        Self { request: None, job: Some(row.job), routing: row.request_hash.routing_id() }
    }
}

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

    /// Notes an event of a job.
    pub(crate) fn note(&self, of: impl Into<JobName>, event: &str, detail: impl Into<String>) {
        let (of, detail) = (of.into(), detail.into());
        info!(
            side = self.side.as_str(),
            request = of.request.map(|(request, _)| display(request)),
            attempt = of.request.map(|(_, attempt)| attempt),
            job = of.job.map(display),
            routing = %of.routing,
            event,
            detail,
            "job"
        );
        let entry = HistoryEntry { at_ms: self.clock.unix_millis(), event: event.to_owned(), detail };
        let entry = NewHistoryEntry { side: self.side, subject: of.subject(), entry };
        if self.waiting.try_send(entry).is_err() {
            warn!(routing = %of.routing, event, "the job's history is incomplete: too many events wait");
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
