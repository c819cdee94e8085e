//! The runner as a service: slots, and a task for each request that has one.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use t4t_api::inference_runner::{GetRunnerStatus, RunInference, RunnerError, RunnerStatus};
use t4t_api::{ItemStream, Serve, ServeStream, TransportError, carried};
use t4t_clock::SharedClock;
use t4t_inference::Piece;
use t4t_panics::{Panicked, contain};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::config::RunnerLimits;
use crate::directory::Directory;
use crate::run::{Item, Run};
use crate::slots::{NoSlot, Slot, Slots};

/// The service's name, for errors and routes.
pub(crate) const SERVICE: &str = "inference-runner";

/// Pieces that wait for a caller who reads slowly; after that the backend waits.
const ITEMS_WAITING: usize = 64;

/// Takes requests.
#[derive(Debug)]
pub(crate) struct Service {
    /// The models.
    pub(crate) directory: Arc<Directory>,
    /// How long and how much to bear with a backend.
    pub(crate) limits: RunnerLimits,
    /// Its time.
    pub(crate) clock: SharedClock,
    /// Where requests run: not on the thread of whoever asks.
    pub(crate) runtime: Handle,
    /// How many of them at a time.
    pub(crate) slots: Slots,
    /// Turns true when whatever still runs is to end.
    pub(crate) halt: watch::Sender<bool>,
}

impl Service {
    /// What the runner can do and how busy it is. One that stops can do nothing.
    pub(crate) fn status(&self) -> RunnerStatus {
        if self.slots.is_closed() {
            return RunnerStatus { slots: 0, busy: 0, models: Vec::new() };
        }
        let (slots, busy) = (self.slots.count(), self.slots.busy());
        RunnerStatus { slots, busy, models: self.directory.offered() }
    }

    fn slot(&self) -> Result<Slot, RunnerError> {
        self.slots.take().map_err(|none| match none {
            NoSlot::Full => RunnerError::Full { slots: self.slots.count() },
            NoSlot::Closed => stopped().into(),
        })
    }

    fn start(&self, call: RunInference, slot: Slot) -> Result<Answer, RunnerError> {
        let candidates = self.directory.candidates(&call.model);
        if candidates.is_empty() {
            return Err(RunnerError::UnknownModel { model: call.model });
        }
        let (items, answer) = mpsc::channel(ITEMS_WAITING);
        let run = Run {
            call,
            candidates,
            directory: Arc::clone(&self.directory),
            limits: self.limits,
            clock: self.clock.clone(),
            items: items.clone(),
        };
        let (job, clock, began_ms) = (run.call.job.clone(), self.clock.clone(), self.clock.unix_millis());
        let mut halted = self.halt.subscribe();
        let task = self.runtime.spawn(carried(async move {
            let last = tokio::select! {
                last = contain(run.finish()) => last.unwrap_or_else(|panicked| Err(failed(panicked))),
                _ = halted.wait_for(|halted| *halted) => Err(stopped().into()),
            };
            // Before the last piece, which may wait for a slow reader.
            drop(slot);
            let held_ms = clock.unix_millis().saturating_sub(began_ms);
            tracing::debug!(%job, held_ms, "a slot is free again");
            // An error means that nobody reads any more.
            let _unread = items.send(last).await;
        }));
        Ok(Answer { items: answer, task: task.abort_handle(), is_over: false })
    }
}

/// A panic is no backend's fault, and says nothing that an app may be told beyond that.
fn failed(panicked: Panicked) -> RunnerError {
    RunnerError::Backend { reason: panicked.to_string() }
}

fn stopped() -> TransportError {
    TransportError::Unreachable { service: SERVICE.into(), reason: "it is stopping".into() }
}

/// An answer's pieces. Dropping it ends the task, which closes the connection to the backend and frees the slot.
struct Answer {
    items: mpsc::Receiver<Item>,
    task: AbortHandle,
    is_over: bool,
}

impl Answer {
    async fn next(mut self) -> Option<(Item, Self)> {
        if self.is_over {
            return None;
        }
        let item = self.items.recv().await.unwrap_or_else(|| Err(stopped().into()));
        self.is_over = !matches!(item, Ok(Piece::Chunk(_)));
        Some((item, self))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Serve<GetRunnerStatus> for Service {
    async fn ask(&self, _: GetRunnerStatus) -> Result<RunnerStatus, RunnerError> {
        Ok(self.status())
    }
}

#[async_trait]
impl ServeStream<RunInference> for Service {
    async fn open(&self, call: RunInference) -> Result<ItemStream<RunInference>, RunnerError> {
        let slot = self.slot()?;
        // The backend is not waited for: its first token may take longer than a caller waits for a stream to begin.
        let answer = self.start(call, slot)?;
        Ok(Box::pin(stream::unfold(answer, Answer::next)))
    }
}
