//! An app beside a gateway, and `t4t dev` for it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use t4t_testkit::backend::ScriptedBackend;

use crate::process::{PATIENCE, Process, t4t};

/// The model that the zero-delay backend serves.
pub(crate) const MODEL: &str = "echo";

/// An app with one connection that stays open.
#[derive(Debug)]
pub(crate) struct App {
    http: reqwest::Client,
    base: String,
}

/// An answer, and when it was there.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) took: Duration,
    /// The job on the chain, where a gateway names it.
    pub(crate) job: Option<String>,
}

impl App {
    /// An app that uses the API at `base`, without `/v1`.
    pub(crate) fn new(base: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(PATIENCE).build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned() })
    }

    /// Asks for a completion and reads the whole answer.
    pub(crate) async fn ask(&self) -> anyhow::Result<Answered> {
        let body = json!({
            "model": MODEL, "max_tokens": 32,
            "messages": [{ "role": "user", "content": "Say again what I said, word for word." }],
        });
        let began = Instant::now();
        let request = self.http.post(format!("{}/v1/chat/completions", self.base)).json(&body);
        let response = request.send().await.context("no answer")?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.context("the answer broke off")?;
        let took = began.elapsed();
        ensure!(status.is_success(), "{status}: {text}");
        let job = headers.get("x-t4t-job").and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answered { took, job })
    }

    /// Names of the models on offer.
    pub(crate) async fn models(&self) -> anyhow::Result<Vec<String>> {
        let list: Value = self.http.get(format!("{}/v1/models", self.base)).send().await?.json().await?;
        let models = list["data"].as_array().context("no list of models")?;
        Ok(models.iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect())
    }
}

/// `t4t dev` with a backend that answers at once.
#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) app: App,
    /// What it says of itself.
    pub(crate) about: Value,
}

impl Dev {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(
        home: &Path,
        block_time: u64,
        backend: &ScriptedBackend,
    ) -> anyhow::Result<Self> {
        let mut command = t4t("dev", home);
        command.args([
            "--json",
            "--port",
            &free_port()?.to_string(),
            "--block-time",
            &block_time.to_string(),
        ]);
        command.args(["--backend", backend.url().as_str()]).arg("--data").arg(home.join("dev"));
        let process = Process::start(command, home.join("dev.log"))?;
        let about = process.says("the market is ready", |line| serde_json::from_str(line).ok());
        let about: Value = about.await?;
        let base = about["base_url"].as_str().context("no base URL")?;
        let app = App::new(base.trim_end_matches("/v1"))?;
        Ok(Self { process, app, about })
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
