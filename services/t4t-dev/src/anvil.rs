//! The development chain's process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use t4t_chain::{Rpc, RpcConfig};
use t4t_clock::{SystemClock, timeout};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use url::Url;

use super::programs::command;

/// anvil is up in about 50 ms; a loaded machine takes longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What anvil says once it takes requests.
const LISTENING: &str = "Listening on ";

/// A chain in memory. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Anvil {
    url: Url,
    rpc: Rpc,
    child: Child,
}

impl Anvil {
    /// Starts a chain on a free port; it makes a block for each transaction at once.
    ///
    /// # Errors
    /// The program does not start.
    pub(crate) async fn start(program: &Path, chain_id: u64) -> anyhow::Result<Self> {
        let mut child = command(program)
            .args(["--host", "127.0.0.1", "--port", "0", "--accounts", "1", "--no-cors"])
            .args(["--chain-id", &chain_id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't run {}", program.display()))?;
        let stdout = child.stdout.take().context("anvil has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let Ok(listening) = timeout(&SystemClock, START_LIMIT, listening(&mut lines)).await else {
            bail!("anvil did not start within {} s", START_LIMIT.as_secs());
        };
        let Some(address) = listening? else {
            bail!("anvil ended at once{}", said(child).await);
        };
        drain(lines);
        let url: Url = format!("http://{address}").parse().context("anvil says it listens nowhere")?;
        let rpc = Rpc::new(RpcConfig::new([url.clone()]), SystemClock::shared())?;
        Ok(Self { url, rpc, child })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// A client of it.
    pub(crate) fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Gives an address coins for gas.
    ///
    /// # Errors
    /// The chain does not answer.
    pub(crate) async fn set_balance(&self, address: t4t_types::Address, wei: u128) -> anyhow::Result<()> {
        let params = json!([address.to_string(), format!("{wei:#x}")]);
        self.rpc
            .call::<serde_json::Value>("anvil_setBalance", params)
            .await
            .context("no coins were given")?;
        Ok(())
    }

    /// Makes a block every `seconds` from now on; 0 stays with a block for each transaction.
    ///
    /// # Errors
    /// The chain does not answer.
    pub(crate) async fn set_block_time(&self, seconds: u64) -> anyhow::Result<()> {
        if seconds > 0 {
            let params = json!([seconds]);
            let set = self.rpc.call::<serde_json::Value>("evm_setIntervalMining", params).await;
            set.context("the block time was not set")?;
        }
        Ok(())
    }

    /// Replaces the last `depth` blocks by empty ones; their transactions are gone.
    ///
    /// # Errors
    /// The chain does not answer.
    pub(crate) async fn reorganise(&self, depth: u64) -> anyhow::Result<()> {
        let done = self.rpc.call::<serde_json::Value>("anvil_reorg", json!([depth, []])).await;
        done.context("no blocks were replaced").map(drop)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "the development chain could not be ended");
        }
    }
}

async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> std::io::Result<Option<String>> {
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.strip_prefix(LISTENING) {
            return Ok(Some(address.trim().to_owned()));
        }
    }
    Ok(None)
}

/// Reads on, so that the chain never waits for a full pipe.
fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}

async fn said(child: Child) -> String {
    match child.wait_with_output().await {
        Ok(output) => format!(": {}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(_) => String::new(),
    }
}
