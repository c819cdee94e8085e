//! A runner that does what it is told: answers what it was asked, in pieces, or refuses, fails, hangs, dies.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use t4t_api::inference_runner::{GetRunnerStatus, RunInference, RunnerError, RunnerStatus};
use t4t_api::{ItemStream, Serve, ServeStream};
use t4t_clock::SharedClock;
use t4t_inference::{Piece, Refusal};
use t4t_types::TokenPrices;

use super::messages;
use super::world::lock;

/// Characters by which a text is known.
const NAME: usize = 64;

/// What a runner does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Run {
    /// Says what it was told, after a while.
    Answers(Duration),
    /// Refuses.
    Refuses(Refusal),
    /// Fails.
    Fails,
    /// Has no slot, whatever it said.
    IsFull,
    /// Gives a piece and no end.
    Dies,
    /// Gives a piece and falls silent.
    Hangs,
}

/// What a runner is like and what it did; outlives its machine.
#[derive(Debug)]
pub(crate) struct Backend {
    /// What it does with the next requests; after those it answers.
    pub(crate) next: Mutex<VecDeque<Run>>,
    pub(crate) slots: Mutex<u32>,
    pub(crate) is_away: Mutex<bool>,
    pub(crate) prices: TokenPrices,
    /// What it says to everything, instead of what it was told.
    pub(crate) says: Mutex<Option<String>>,
    /// How often each text was asked.
    pub(crate) asked: Mutex<HashMap<String, u32>>,
}

impl Backend {
    pub(crate) fn new(prices: TokenPrices) -> Arc<Self> {
        let (next, says, is_away, asked) = Default::default();
        Arc::new(Self { next, slots: Mutex::new(4), is_away, prices, says, asked })
    }

    pub(crate) fn will(&self, run: Run) {
        lock(&self.next).push_back(run);
    }
}

/// The runner of a backend.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) backend: Arc<Backend>,
    pub(crate) clock: SharedClock,
}

#[async_trait]
impl Serve<GetRunnerStatus> for Runner {
    async fn ask(&self, _: GetRunnerStatus) -> Result<RunnerStatus, RunnerError> {
        let (slots, is_away) = (*lock(&self.backend.slots), *lock(&self.backend.is_away));
        Ok(messages::runner_status(slots, 0, self.backend.prices, is_away))
    }
}

#[async_trait]
impl ServeStream<RunInference> for Runner {
    async fn open(&self, call: RunInference) -> Result<ItemStream<RunInference>, RunnerError> {
        let text = messages::text_run(&call);
        // By its beginning: texts may be long.
        *lock(&self.backend.asked).entry(text.chars().take(NAME).collect()).or_default() += 1;
        let run = lock(&self.backend.next).pop_front().unwrap_or(Run::Answers(Duration::ZERO));
        let piece = || stream::iter([Ok::<Piece, RunnerError>(messages::piece(&text))]);
        match run {
            Run::Answers(after) => {
                let said = lock(&self.backend.says).clone().unwrap_or_else(|| text.clone());
                let clock = Arc::clone(&self.clock);
                let end = stream::once(async move {
                    if !after.is_zero() {
                        clock.sleep(after).await;
                    }
                    Ok(messages::finished(&said))
                });
                Ok(piece().chain(end).boxed())
            }
            Run::Refuses(refusal) => Err(RunnerError::Refused { refusal }),
            Run::Fails => Err(RunnerError::Backend { reason: "out of order".into() }),
            Run::IsFull => Err(RunnerError::Full { slots: 0 }),
            Run::Dies => Ok(piece().boxed()),
            Run::Hangs => Ok(piece().chain(stream::pending()).boxed()),
        }
    }
}
