//! `t4t dev` with a backend that answers at once, and an app beside it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use t4t_testkit::backend::ScriptedBackend;
use t4t_testkit::processes::{App, ECHO, PATIENCE, Process, Question, Recipe, Reply};
use url::Url;

/// The program that is measured.
pub(crate) const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// What an app asks: it comes back word for word.
pub(crate) const QUESTION: Question<'static> = Question::new(ECHO, "Say again what I said, word for word.");

/// Asks, and says how long it took until the whole answer was there.
pub(crate) async fn ask(app: &App, base: &Url) -> anyhow::Result<(Reply, Duration)> {
    let began = Instant::now();
    let reply = app.ask(base, &QUESTION).await?;
    let took = began.elapsed();
    reply.answer()?;
    Ok((reply, took))
}

/// A market on this machine.
#[derive(Debug)]
pub(crate) struct Dev {
    pub(crate) process: Process,
    /// What it says of itself.
    pub(crate) about: Value,
    /// The gateway.
    pub(crate) base: Url,
}

impl Dev {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(
        home: &Path,
        block_time: u64,
        backend: &ScriptedBackend,
    ) -> anyhow::Result<Self> {
        let port = free_port()?.to_string();
        let (backend, data) = (backend.url().to_string(), home.join("dev").display().to_string());
        let block_time = block_time.to_string();
        let arguments = [
            "dev",
            "--json",
            "--port",
            &port,
            "--block-time",
            &block_time,
            "--backend",
            &backend,
            "--data",
            &data,
        ];
        let mut recipe = Recipe::new("dev", Path::new(T4T), &arguments);
        recipe.set("HOME", home.display()).set("LOG_LEVEL", log_level());
        if let Some(anvil) = anvil() {
            recipe.set("T4T_ANVIL", anvil.display());
        }
        let mut process = Process::start(recipe, home)?;
        let said = process.says("\"ready_ms\"", PATIENCE).await?;
        let about = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let about = about.context("t4t dev does not say where it is")?;
        let base = about["base_url"].as_str().context("no base URL")?.parse()?;
        Ok(Self { process, about, base })
    }

    /// Ends it, and the chain program with it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop(PATIENCE).await.map(drop)
    }
}

/// Logs cost time, so there are none unless they are asked for.
pub(crate) fn log_level() -> String {
    std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".into())
}

/// The chain program that the contracts' set-up installs; without it `t4t dev` sees to itself.
fn anvil() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    std::env::var_os("T4T_ANVIL").map(PathBuf::from).or(Some(installed)).filter(|path| path.is_file())
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
