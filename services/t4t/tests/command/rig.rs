//! A chain, Swarm nodes, and processes of ours beside them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults};
use t4t_crypto::{WalletKey, keyfile};
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market};
use t4t_testkit::eventually;

/// How long a process may take for what is asked of it; a busy machine needs some seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The command under test.
pub(crate) const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// A command with nothing in its environment but a home and the search path.
pub(crate) fn command(program: impl AsRef<Path>, home: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(anvil) = anvil() {
        command.env("T4T_ANVIL", anvil);
    }
    command
}

/// Runs `t4t` with these arguments and variables until it ends.
pub(crate) fn t4t(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(T4T, home).args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

/// What it said on standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The chain program that the contracts' set-up installs; without it `t4t dev` sees to itself.
fn anvil() -> Option<PathBuf> {
    let set = std::env::var_os("T4T_ANVIL").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    set.into_iter().chain([installed]).find(|path| path.is_file())
}

/// A chain with the contracts, and two Swarm nodes.
pub(crate) struct World {
    pub(crate) anvil: Anvil,
    pub(crate) market: Market,
    pub(crate) bee: BeeDev,
}

impl World {
    pub(crate) async fn start() -> Self {
        let anvil =
            Anvil::start(AnvilConfig { block_time: Some(1), ..AnvilConfig::default() }).await.unwrap();
        let market = Market::deploy(&anvil).await.unwrap();
        let faults = Faults::realistic();
        let bee = BeeDev::start(BeeDevConfig { faults, ..BeeDevConfig::default() }).await.unwrap();
        Self { anvil, market, bee }
    }

    /// The variables that point a process at this world.
    pub(crate) fn variables(&self, node: usize) -> Vec<(&'static str, String)> {
        let addresses = self.market.addresses;
        vec![
            ("GNOSIS_RPC_URL", self.anvil.rpc_url().to_string()),
            ("REGISTRY_ADDRESS", addresses.registry.to_string()),
            ("ESCROW_ADDRESS", addresses.escrow.to_string()),
            ("XBZZ_ADDRESS", addresses.token.to_string()),
            ("T4T_CHAIN_POLL_MS", "100".into()),
            ("BEE_API_URL", self.bee.urls()[node].clone()),
            ("LOG_LEVEL", "info".into()),
        ]
    }
}

/// A folder with a wallet in it.
pub(crate) fn folder_with_wallet(parent: &Path, name: &str, key: &WalletKey) -> PathBuf {
    let folder = parent.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    keyfile::write_wallet_hex(&folder.join("wallet.key"), key).unwrap();
    folder
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let out = std::fs::File::create(&log).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it says this, and returns all that it said.
    pub(crate) async fn says(&self, text: &str) -> String {
        let said =
            eventually(PATIENCE, text, async || Some(self.log()).filter(|log| log.contains(text))).await;
        said.unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Asks it to stop, and waits until it has; its exit status.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let ended =
            eventually(PATIENCE, "the end of a process", async || self.child.try_wait().unwrap()).await;
        ended.unwrap_or_else(|error| panic!("{error}\n{}", self.log())).code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that is gone already can't be ended again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An app.
pub(crate) fn http() -> reqwest::Client {
    // An error here means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Asks a gateway for an answer.
pub(crate) async fn ask(gateway: &str, model: &str) -> (u16, serde_json::Value) {
    let body = serde_json::json!({
        "model": model, "max_tokens": 32, "messages": [{ "role": "user", "content": "Hello!" }],
    });
    let response = http().post(format!("{gateway}/v1/chat/completions")).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}
