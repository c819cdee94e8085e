//! A real backend: llama.cpp's own OpenAI-compatible server with a tiny model of random weights.
//!
//! `libs/testkit/llama/setup.sh` installs it once. Its answers are noise, but real noise: streamed, counted, limited
//! and, at temperature 0, the same each time.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use t4t_clock::{Clock, SystemClock};
use url::Url;

/// What it calls its model.
pub const LLAMA_MODEL: &str = "tiny-random";

/// Waits for the server to load its model, of [`POLL`] each.
const POLLS: u32 = 300;
const POLL: Duration = Duration::from_millis(100);

/// A server on a port of its own; it ends when dropped.
#[derive(Debug)]
pub struct Llama {
    server: Child,
    url: Url,
}

impl Llama {
    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// It is not installed; the text says how to install it. It does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = folder();
        let (python, model) = (folder.join("venv/bin/python"), folder.join("tiny.gguf"));
        if !python.exists() || !model.exists() {
            bail!("llama.cpp is not installed in {}: run libs/testkit/llama/setup.sh", folder.display());
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/llama/serve.py");
        let mut command = Command::new(python);
        command.arg(script).arg(model).arg(port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().context("llama.cpp does not start")?;
        let mut llama = Self { server, url: format!("http://127.0.0.1:{port}").parse()? };
        llama.wait_until_ready().await?;
        Ok(llama)
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let http = t4t_outbound::direct().timeout(Duration::from_secs(1)).build()?;
        let health = self.url.join("/health")?;
        for _ in 0..POLLS {
            if http.get(health.clone()).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.server.try_wait()? {
                bail!("llama.cpp ended with {status}; run libs/testkit/llama/setup.sh again");
            }
            SystemClock.sleep(POLL).await;
        }
        bail!("llama.cpp did not load its model in time")
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.server.kill();
        let _status = self.server.wait();
    }
}

fn folder() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/llama");
    std::env::var_os("T4T_LLAMA_DIR").map_or_else(|| default.into(), PathBuf::from)
}
