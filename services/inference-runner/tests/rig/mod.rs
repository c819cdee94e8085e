//! A runner in front of scripted backends, reached in both ways that a runner can be reached.

#![expect(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod raw;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use t4t_api::inference_runner::{GetRunnerStatus, RunInference, RunnerError, RunnerStatus};
use t4t_api::{HttpClient, HttpClientConfig, InferenceRunner, Selling};
use t4t_clock::{Clock, SystemClock};
use t4t_inference::{Chunk, End, InferenceRequest, Kind, Piece};
use t4t_inference_runner::{Endpoints, Runner, RunnerConfig, RunnerDeps, RunnerLimits, Running};
use t4t_runtime::Readiness;
use t4t_runtime::config::Bind;
use url::Url;

pub(crate) const TOKEN: &str = "shared-by-all";

/// How long an impatient runner bears with a backend.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

/// How a runner is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Mailbox,
    Http,
}

pub(crate) const BOTH: [Way; 2] = [Way::Mailbox, Way::Http];

pub(crate) struct Rig {
    pub(crate) running: Running,
    pub(crate) runner: Arc<dyn InferenceRunner>,
    pub(crate) address: Option<Url>,
}

pub(crate) fn config(endpoints: &Value) -> RunnerConfig {
    let file = endpoints.to_string();
    let endpoints = Endpoints::parse(Path::new("endpoints.json"), file.as_bytes()).unwrap();
    let limits = RunnerLimits {
        // Rounds are made by hand.
        discovery_interval: Duration::from_secs(3600),
        ..RunnerLimits::default()
    };
    RunnerConfig { limits, ..RunnerConfig::new(endpoints) }
}

/// The same with little patience.
pub(crate) fn impatient(mut config: RunnerConfig) -> RunnerConfig {
    config.limits = RunnerLimits {
        connect: PATIENCE,
        first_token: PATIENCE,
        idle: PATIENCE,
        discovery_timeout: PATIENCE,
        stop_grace: PATIENCE,
        ..config.limits
    };
    config
}

/// Endpoints `a`, `b`, … at these addresses.
pub(crate) fn endpoints(urls: &[Url]) -> Value {
    let names = "abcdefgh".chars();
    urls.iter().zip(names).map(|(url, name)| json!({"name": name.to_string(), "url": url})).collect()
}

impl Rig {
    pub(crate) async fn start(way: Way, config: RunnerConfig) -> Self {
        Self::start_with(way, config, None).await
    }

    pub(crate) async fn start_with(
        way: Way,
        config: RunnerConfig,
        dispatcher: Option<Arc<dyn Selling>>,
    ) -> Self {
        let readiness = Readiness::new("0");
        let deps = RunnerDeps { clock: SystemClock::shared(), dispatcher, readiness };
        let mut running = Runner::start(config, deps).await.unwrap();
        let (runner, address) = match way {
            Way::Mailbox => (running.mailbox(), None),
            Way::Http => {
                let bind = Bind { address: "127.0.0.1:0".parse().unwrap(), port_setting: "T4T_RUNNER_PORT" };
                let address = running.serve_http(bind, TOKEN.into()).unwrap();
                let url: Url = format!("http://{address}").parse().unwrap();
                (client(&url, TOKEN), Some(url))
            }
        };
        Self { running, runner, address }
    }

    pub(crate) async fn status(&self) -> RunnerStatus {
        self.runner.ask(GetRunnerStatus {}).await.unwrap()
    }

    pub(crate) async fn models(&self) -> Vec<String> {
        let models = self.status().await.models;
        models.into_iter().filter(|model| !model.away).map(|model| model.model.to_string()).collect()
    }

    pub(crate) async fn run(&self, call: RunInference) -> Outcome {
        let started = Instant::now();
        let mut outcome =
            Outcome { chunks: Vec::new(), end: Err(RunnerError::TimedOut), took: Duration::ZERO };
        let mut items = match self.runner.open(call).await {
            Ok(items) => items,
            Err(error) => return Outcome { end: Err(error), ..outcome },
        };
        let mut is_over = false;
        while let Some(item) = items.next().await {
            assert!(!is_over, "a piece after the end");
            match item {
                Ok(Piece::Chunk(Chunk { json, counted })) => {
                    outcome.chunks.push((json.as_str().to_owned(), counted))
                }
                Ok(Piece::End(end)) => outcome.end = Ok(end),
                Err(error) => outcome.end = Err(error),
            }
            is_over = !matches!(outcome.end, Err(RunnerError::TimedOut)) || is_over;
        }
        outcome.took = started.elapsed();
        outcome
    }

    /// Models that are on offer although their backend does not answer.
    pub(crate) async fn models_away(&self) -> Vec<String> {
        let models = self.status().await.models;
        models.into_iter().filter(|model| model.away).map(|model| model.model.to_string()).collect()
    }

    /// Fails unless all slots are free within a second.
    pub(crate) async fn assert_idle(&self) {
        eventually("a free slot", Duration::from_secs(1), async || self.status().await.busy == 0).await;
    }
}

pub(crate) fn client(url: &Url, token: &str) -> Arc<dyn InferenceRunner> {
    let config = HttpClientConfig { service: "inference-runner", url: url.clone(), token: token.into() };
    Arc::new(HttpClient::new(config).unwrap())
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) chunks: Vec<(String, u64)>,
    pub(crate) end: Result<End, RunnerError>,
    pub(crate) took: Duration,
}

impl Outcome {
    /// The finished answer as JSON, and its billed prompt and completion.
    pub(crate) fn answer(self) -> (Value, u64, u64) {
        let finished = self.end.unwrap();
        let response: Value = serde_json::from_str(finished.whole.unwrap().as_str()).unwrap();
        assert_eq!(response["usage"]["prompt_tokens"], finished.usage.prompt);
        assert_eq!(response["usage"]["completion_tokens"], finished.usage.completion);
        assert_eq!(response["object"], "chat.completion");
        (response, finished.usage.prompt, finished.usage.completion)
    }

    pub(crate) fn error(self) -> RunnerError {
        self.end.unwrap_err()
    }
}

/// A request for `words` to be repeated.
pub(crate) fn say(words: &str) -> RunInference {
    chat(json!({"model": "as the app wrote it", "messages": [{"role": "user", "content": words}]}))
}

pub(crate) fn chat(request: Value) -> RunInference {
    RunInference {
        job: "escrow:7".parse().unwrap(),
        model: "echo".parse().unwrap(),
        request: read(&request),
        max_completion_tokens: None,
        time_limit_ms: 10_000,
    }
}

/// A request as it comes to a runner.
pub(crate) fn read(request: &Value) -> InferenceRequest {
    InferenceRequest::read(Kind::Chat, request.to_string().into()).unwrap()
}

pub(crate) fn content(response: &Value) -> &str {
    response["choices"][0]["message"]["content"].as_str().unwrap()
}

/// Waits until `holds`, at most for `limit`.
pub(crate) async fn eventually(what: &str, limit: Duration, holds: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < limit, "no {what} within {limit:?}");
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
}
