//! A running edge and how tests speak to it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use t4t_clock::{Clock, ManualClock, SystemClock};
use t4t_openai_api::{OpenAiApi, OpenAiConfig, OpenAiDeps, Running};
use t4t_runtime::Readiness;
use t4t_types::UnixSeconds;

use crate::market::{ScriptedBuyer, ScriptedWatcher};

/// A running edge with what stands behind it.
pub(crate) struct Gateway {
    pub(crate) running: Running,
    pub(crate) buyer: Arc<ScriptedBuyer>,
    pub(crate) watcher: Arc<ScriptedWatcher>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) http: reqwest::Client,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        Self::configured(|_| {})
    }

    pub(crate) fn configured(configure: impl FnOnce(&mut OpenAiConfig)) -> Self {
        let mut config = OpenAiConfig { bind: "127.0.0.1:0".parse().unwrap(), ..OpenAiConfig::default() };
        config.stop_grace = Duration::from_secs(1);
        configure(&mut config);
        let (buyer, watcher) = (Arc::new(ScriptedBuyer::default()), Arc::new(ScriptedWatcher::default()));
        let clock = ManualClock::new(UnixSeconds::new(1_800_000_000));
        let readiness = Readiness::new("0");
        let deps =
            OpenAiDeps { buying: buyer.clone(), watcher: watcher.clone(), readiness, clock: clock.clone() };
        let running = OpenAiApi::start(config, deps).unwrap();
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, buyer, watcher, clock, http }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr())
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.url(path))
    }

    pub(crate) fn post(&self, body: &Value) -> RequestBuilder {
        self.http.post(self.url("/v1/chat/completions")).json(body)
    }

    /// Asks for a stream under a fixed key, so that its id is the same each time, and reads it to its end.
    pub(crate) async fn transcript(&self, body: &Value) -> String {
        let response = self.post(body).header("idempotency-key", "golden").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.text().await.unwrap()
    }
}

/// A request as an app sends it.
pub(crate) fn chat() -> Value {
    json!({"model": "llama3:8b", "messages": [{"role": "user", "content": "hi"}]})
}

/// The same as a stream, with `fields` added.
pub(crate) fn streamed(fields: Value) -> Value {
    let mut body = chat();
    body["stream"] = json!(true);
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// An answer's status and JSON.
pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Waits until something is so, for at most 20 s.
pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..4000 {
        if is_so() {
            return;
        }
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
    panic!("never came true: {what}");
}

impl Gateway {
    /// Lets the clock run, a second at a time, for as long as it is waited for and at most 20 s.
    pub(crate) async fn time_passes<T>(&self) -> T {
        eventually("what was waited for", || {
            self.clock.advance(Duration::from_secs(1));
            false
        })
        .await;
        pending().await
    }
}

impl Gateway {
    /// Sends a request and lets the clock run until its answer begins.
    pub(crate) async fn begins(&self, request: RequestBuilder) -> Response {
        tokio::select! { response = request.send() => response.unwrap(), never = self.time_passes() => never }
    }
}
