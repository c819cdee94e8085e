//! A runner that does as a test says.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use t4t_api::inference_runner::{GetRunnerStatus, RunInference, RunnerError, RunnerModel, RunnerStatus};
use t4t_api::{ItemStream, Serve, ServeStream};
use t4t_clock::SystemClock;
use t4t_inference::{Chunk, End, InferenceRequest, Kind, Piece};
use t4t_json::JsonText;
use t4t_panics::Lock;
use t4t_types::{JobRef, ModelId, TokenUsage};
use tokio::sync::Semaphore;

use super::runners::{Runners, RunnersConfig};

/// What each answer takes.
pub(super) const USAGE: TokenUsage = TokenUsage { prompt: 3, completion: 2 };

/// What happens to a job at this runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Two chunks and the end; the end only once the test has opened [`ScriptedRunner::ends`].
    Answers,
    /// It panics before the first chunk.
    Panics,
    /// It fails after the first chunk.
    Breaks,
}

/// A runner with one model, `m`.
pub(super) struct ScriptedRunner {
    course: Box<dyn Fn(&JobRef) -> Course + Send + Sync>,
    /// Jobs in the order in which they were asked for.
    pub(super) asked: Lock<Vec<JobRef>>,
    /// A permit for each answer that may end.
    pub(super) ends: Arc<Semaphore>,
}

impl ScriptedRunner {
    pub(super) fn new(course: impl Fn(&JobRef) -> Course + Send + Sync + 'static) -> Arc<Self> {
        let (asked, ends) = (Lock::default(), Arc::new(Semaphore::new(0)));
        Arc::new(Self { course: Box::new(course), asked, ends })
    }

    /// The pool that has this runner alone.
    pub(super) async fn pool(self: &Arc<Self>) -> Arc<Runners> {
        let lease = std::time::Duration::from_secs(15);
        let config = RunnersConfig { lease, token: Some("a token of tests".into()), cap: None };
        let runners = Runners::new(Some(Arc::clone(self) as _), SystemClock::shared(), config);
        runners.refresh().await;
        Arc::new(runners)
    }
}

#[async_trait]
impl Serve<GetRunnerStatus> for ScriptedRunner {
    async fn ask(&self, _: GetRunnerStatus) -> Result<RunnerStatus, RunnerError> {
        let offered = RunnerModel { model: model(), prices: None, max_context_tokens: None, away: false };
        Ok(RunnerStatus { slots: 8, busy: 0, models: vec![offered] })
    }
}

#[async_trait]
impl ServeStream<RunInference> for ScriptedRunner {
    async fn open(&self, call: RunInference) -> Result<ItemStream<RunInference>, RunnerError> {
        self.asked.lock().push(call.job.clone());
        let course = (self.course)(&call.job);
        assert!(course != Course::Panics, "this runner panics at {}", call.job);
        let last: Result<Piece, RunnerError> = match course {
            Course::Breaks => Err(RunnerError::Backend { reason: "it broke".into() }),
            _ => Ok(Piece::End(End { whole: Some(json("\"whole\"")), usage: USAGE })),
        };
        let chunk = |counted| Ok(Piece::Chunk(Chunk { json: json("\"part\""), counted }));
        let ends = Arc::clone(&self.ends);
        let waits = stream::once(async move {
            if course == Course::Answers {
                ends.acquire().await.unwrap().forget();
            }
            last
        });
        Ok(Box::pin(stream::iter([chunk(1), chunk(2)]).chain(waits)))
    }
}

pub(super) fn model() -> ModelId {
    "m".parse().unwrap()
}

pub(super) fn json(text: &str) -> JsonText {
    serde_json::value::RawValue::from_string(text.to_owned()).unwrap().into()
}

pub(super) fn request_text() -> JsonText {
    json(r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#)
}

pub(super) fn asked() -> InferenceRequest {
    InferenceRequest::read(Kind::Chat, request_text().bytes().clone()).unwrap()
}
