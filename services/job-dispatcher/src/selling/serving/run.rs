//! Having a runner answer a request, and the next one where that fails.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::InferenceRunner;
use t4t_api::inference_runner::{RunInference, RunnerError};
use t4t_clock::{SharedClock, timeout};
use t4t_inference::{InferenceRequest, Piece, Refusal};
use t4t_types::{JobRef, ModelId};
use tracing::info;

use super::sink::{PieceSink, unfinished};
use crate::selling::runners::{LOOK_AGAIN, Runners, Slot, prefix_of};

/// When to ask again for a model whose backends are away or busy, in seconds.
const RETRY_AFTER: u64 = 10;

/// Beyond its own limit, a runner that has fallen silent is given this long.
const SILENCE: Duration = Duration::from_secs(5);

/// What is said while no runner serves a model that is on offer.
pub(crate) fn away() -> Refusal {
    Refusal::try_again("no backend of this provider serves the model for the moment", RETRY_AFTER)
}

/// What is to be run, and what is paid for.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) job: JobRef,
    pub(crate) model: ModelId,
    pub(crate) asked: InferenceRequest,
    /// The most completion tokens that are paid for; `None` where they cost nothing.
    pub(crate) max_completion_tokens: Option<u64>,
    /// For how long from now the answer is of use.
    pub(crate) limit: Duration,
}

/// Has runners answer.
pub(crate) struct Serving {
    runners: Arc<Runners>,
    clock: SharedClock,
}

impl Serving {
    pub(crate) fn new(runners: Arc<Runners>, clock: SharedClock) -> Self {
        Self { runners, clock }
    }

    /// Whether a runner serves the model, with or without a free slot.
    pub(crate) fn may_serve(&self, model: &ModelId) -> bool {
        self.runners.may_serve(model, &[])
    }

    /// A runner's slot, or `None` if none becomes free in time.
    pub(crate) async fn wait_for_slot(
        &self,
        model: &ModelId,
        asked: &InferenceRequest,
        patience: Duration,
    ) -> Option<Slot> {
        let waiting = Box::pin(self.runners.wait(model, prefix_of(model, asked)));
        timeout(&*self.clock, patience, waiting).await.ok()
    }

    /// Runs a task at the runner whose slot was taken for it, then at one after the other until one answers; a runner
    /// that dies is left for the next, unless pieces of its answer have left. All of it ends once the task's limit is over.
    ///
    /// # Errors
    /// No runner answered: what its client is told.
    pub(crate) async fn run(&self, task: &Task, slot: Slot, sink: &mut dyn PieceSink) -> Result<(), Refusal> {
        let prefix = prefix_of(&task.model, &task.asked);
        let limit_ms = u64::try_from(task.limit.as_millis()).unwrap_or(u64::MAX);
        let ends_at_ms = self.clock.unix_millis().saturating_add(limit_ms);
        let mut failed = Vec::new();
        let mut refusal = away();
        let mut taken = Some(slot);
        loop {
            let time_limit_ms = ends_at_ms.saturating_sub(self.clock.unix_millis());
            if time_limit_ms == 0 || !self.runners.may_serve(&task.model, &failed) {
                return Err(refusal.bounded());
            }
            let Some(slot) = taken.take().or_else(|| self.runners.take(&task.model, prefix, &failed)) else {
                refusal = Refusal::try_again("no runner with the model had a free slot in time", RETRY_AFTER);
                self.clock.sleep(LOOK_AGAIN).await;
                continue;
            };
            let Err(error) = self.run_at(&slot, task, time_limit_ms, sink).await else { return Ok(()) };
            if is_final(&error) || !sink.may_start_over() {
                return Err(told(error).bounded());
            }
            info!(job = %task.job, runner = slot.runner.name, %error, "a runner failed");
            // A full one may have a slot in a moment; any other failure is that runner's for this job.
            if matches!(error, RunnerError::Full { .. }) {
                self.clock.sleep(LOOK_AGAIN).await;
            } else {
                failed.push(slot.runner.name.clone());
            }
            refusal = told(error);
        }
    }

    async fn run_at(
        &self,
        slot: &Slot,
        task: &Task,
        time_limit_ms: u64,
        sink: &mut dyn PieceSink,
    ) -> Result<(), RunnerError> {
        let call = RunInference {
            job: task.job.clone(),
            model: task.model.clone(),
            request: task.asked.clone(),
            max_completion_tokens: task.max_completion_tokens,
            time_limit_ms,
        };
        let handing_on = Box::pin(hand_on(&slot.runner.client, call, sink));
        let limit = Duration::from_millis(time_limit_ms) + SILENCE;
        timeout(&*self.clock, limit, handing_on).await.unwrap_or(Err(RunnerError::TimedOut))
    }
}

/// Hands an answer's pieces on, to its end.
async fn hand_on(
    runner: &Arc<dyn InferenceRunner>,
    call: RunInference,
    sink: &mut dyn PieceSink,
) -> Result<(), RunnerError> {
    let mut pieces = runner.open(call).await?;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let is_end = matches!(piece, Piece::End(_));
        sink.take(piece).await?;
        if is_end {
            return Ok(());
        }
    }
    Err(unfinished())
}

/// Whether every other runner would refuse it too. One that only lacks the model says nothing of the others.
fn is_final(error: &RunnerError) -> bool {
    matches!(error, RunnerError::Refused { refusal } if refusal.blames_request() && refusal.status != Some(404))
}

/// What the client is told of a runner's failure, if no other runner does better.
fn told(error: RunnerError) -> Refusal {
    match error {
        RunnerError::Full { .. } => Refusal::try_again(error.to_string(), RETRY_AFTER),
        RunnerError::Refused { refusal } => refusal,
        error => Refusal::failed(error.to_string()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
