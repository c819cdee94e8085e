//! A runner whose backend takes its time, fails, or falls silent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use serde_json::{Value, json};
use t4t_api::inference_runner::{GetRunnerStatus, RunInference, RunnerError, RunnerModel, RunnerStatus};
use t4t_api::{ItemStream, Serve, ServeStream};
use t4t_inference::{End, Piece};
use t4t_json::JsonText;
use t4t_types::{JobRef, TokenUsage};

use super::network::{Surroundings, lock};

/// The model on sale.
pub(crate) const MODEL: &str = "echo";

/// Requests at a time.
pub(crate) const SLOTS: u32 = 4;

/// How often each job was run, and how often to its end.
pub(crate) type Runs = Arc<Mutex<HashMap<JobRef, (u32, u32)>>>;

/// A runner.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) around: Arc<Surroundings>,
    pub(crate) runs: Runs,
    pub(crate) busy: Arc<Mutex<u32>>,
}

/// A slot in use.
struct Slot(Arc<Mutex<u32>>);

impl Drop for Slot {
    fn drop(&mut self) {
        *lock(&self.0) -= 1;
    }
}

impl Runner {
    fn is_down(&self) -> bool {
        self.around.weather().backend_down_until_ms > self.around.timeline.now_ms()
    }

    async fn run(self, call: RunInference) -> Result<Piece, RunnerError> {
        let timeline = &self.around.timeline;
        let limit = Duration::from_millis(call.time_limit_ms);
        let trouble = self.is_down() || timeline.permille(self.around.weather().backend_trouble);
        if trouble && timeline.throw(2) == 0 {
            timeline.sleep(limit).await;
            return Err(RunnerError::TimedOut);
        }
        let takes = Duration::from_millis(100 + timeline.throw(12_000)).min(limit);
        timeline.sleep(takes).await;
        if trouble {
            return Err(RunnerError::Backend { reason: "out of order".into() });
        }
        let (response, usage) = answer(&call);
        lock(&self.runs).entry(call.job).or_default().1 += 1;
        Ok(Piece::End(End { whole: Some(response), usage }))
    }
}

/// Says what it was told.
fn answer(call: &RunInference) -> (JsonText, TokenUsage) {
    let request: Value = serde_json::from_str(call.request.json().as_str()).unwrap_or_default();
    let said = request["messages"][0]["content"].as_str().unwrap_or_default();
    let usage = TokenUsage { prompt: 9, completion: 5.min(call.max_completion_tokens.unwrap_or(5)) };
    let response = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": said }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": usage.prompt, "completion_tokens": usage.completion,
                   "total_tokens": usage.prompt + usage.completion },
    });
    (JsonText::read_before(response.to_string().into()).expect("it was JSON before"), usage)
}

#[async_trait]
impl Serve<GetRunnerStatus> for Runner {
    async fn ask(&self, _: GetRunnerStatus) -> Result<RunnerStatus, RunnerError> {
        let model = RunnerModel {
            model: MODEL.parse().expect("a name"),
            prices: None,
            max_context_tokens: None,
            away: false,
        };
        let models = if self.is_down() { Vec::new() } else { vec![model] };
        Ok(RunnerStatus { slots: SLOTS, busy: *lock(&self.busy), models })
    }
}

#[async_trait]
impl ServeStream<RunInference> for Runner {
    async fn open(&self, call: RunInference) -> Result<ItemStream<RunInference>, RunnerError> {
        self.around.effect("run");
        {
            let mut busy = lock(&self.busy);
            if *busy >= SLOTS {
                return Err(RunnerError::Full { slots: SLOTS });
            }
            *busy += 1;
        }
        let slot = Slot(Arc::clone(&self.busy));
        lock(&self.runs).entry(call.job.clone()).or_default().0 += 1;
        let runner = self.clone();
        Ok(Box::pin(stream::once(async move {
            let _slot = slot;
            runner.run(call).await
        })))
    }
}
