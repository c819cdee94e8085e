//! A real EVM for tests: the anvil binary, and a market deployed on it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use t4t_chain::{ContractAddresses, Rpc, RpcConfig, deploy};
use t4t_clock::{SystemClock, timeout};
use t4t_crypto::WalletKey;
use t4t_types::{Address, Xbzz, keccak256};
use tokio::sync::oneshot;
use url::Url;

/// How long anvil may take until it listens; a busy machine needs some seconds.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Development wallets that have the chain's coin from the start.
const FUNDED_KEYS: u32 = 32;

/// Wei in one xDAI.
const XDAI: u128 = 1_000_000_000_000_000_000;

/// How anvil is started.
#[derive(Clone, Debug)]
pub struct AnvilConfig {
    /// The chain's id.
    pub chain_id: u64,
    /// Seconds between blocks; `None` makes a block for each transaction at once.
    pub block_time: Option<u64>,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What the first block says the time is; `None` is the machine's.
    pub timestamp: Option<u64>,
}

/// Gnosis Chain's id, a block for each transaction.
impl Default for AnvilConfig {
    fn default() -> Self {
        Self { chain_id: 100, block_time: None, port: 0, timestamp: None }
    }
}

/// A running anvil, which ends with this value.
#[derive(Debug)]
pub struct Anvil {
    process: Child,
    url: Url,
    rpc: Rpc,
    chain_id: u64,
    /// Seconds between blocks now; 0 is a block for each transaction.
    block_time: AtomicU64,
}

impl Anvil {
    /// Starts the binary and waits until it answers. It is looked for in the variable `T4T_ANVIL`, in
    /// `contracts/node_modules`, and on the path.
    pub async fn start(config: AnvilConfig) -> anyhow::Result<Self> {
        let binary =
            find_binary().context("anvil was not found: run `npm ci` in contracts/, or set T4T_ANVIL")?;
        let mut errors = tempfile::tempfile().context("no temporary file for anvil's messages")?;
        let mut process = spawn(&binary, &config, errors.try_clone()?)?;
        let (found, listening) = oneshot::channel();
        if let Some(output) = process.stdout.take() {
            std::thread::spawn(move || watch(output, found));
        }
        let address = timeout(&SystemClock, START_LIMIT, listening).await;
        let Ok(Ok(address)) = address else {
            // A process that is gone already can't be ended again.
            let _ = process.kill();
            let _ = process.wait();
            bail!("{} did not start to listen: {}", binary.display(), said(&mut errors));
        };
        let url: Url = format!("http://{address}").parse()?;
        let rpc = Rpc::new(RpcConfig::new([url.clone()]), SystemClock::shared())?;
        let block_time = AtomicU64::new(config.block_time.unwrap_or(0));
        let anvil = Self { process, url, rpc, chain_id: config.chain_id, block_time };
        anvil.give_coin_to_dev_keys().await?;
        Ok(anvil)
    }

    async fn give_coin_to_dev_keys(&self) -> anyhow::Result<()> {
        let wei = format!("{:#x}", 1_000 * XDAI);
        let keys = (0..FUNDED_KEYS).map(dev_key).chain([deployer_key()]);
        let gifts = keys.map(|key| ("anvil_setBalance", json!([key.address(), wei]))).collect();
        self.rpc.batch(gifts).await?.into_iter().collect::<Result<Vec<Value>, _>>()?;
        Ok(())
    }

    /// Where it answers JSON-RPC.
    pub fn rpc_url(&self) -> Url {
        self.url.clone()
    }

    /// A client of it.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The `n`-th development wallet; the first 32 hold 1,000 xDAI from the start.
    pub fn dev_key(&self, n: u32) -> WalletKey {
        dev_key(n)
    }

    /// Sets what an address holds of the chain's coin, in wei.
    pub async fn set_balance(&self, address: Address, wei: u128) -> anyhow::Result<()> {
        self.ask("anvil_setBalance", json!([address, format!("{wei:#x}")])).await.map(drop)
    }

    /// Makes `blocks` blocks now.
    pub async fn mine(&self, blocks: u64) -> anyhow::Result<()> {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await.map(drop)
    }

    /// Makes a block every so many seconds from now on; `None` makes one for each transaction at once.
    pub async fn set_block_time(&self, seconds: Option<u64>) -> anyhow::Result<()> {
        self.block_time.store(seconds.unwrap_or(0), Ordering::Relaxed);
        match seconds {
            Some(seconds) => {
                self.ask("evm_setAutomine", json!([false])).await?;
                self.ask("evm_setIntervalMining", json!([seconds])).await.map(drop)
            }
            None => {
                self.ask("evm_setIntervalMining", json!([0])).await?;
                self.ask("evm_setAutomine", json!([true])).await.map(drop)
            }
        }
    }

    /// Makes no blocks any more until [`Self::mine`] or [`Self::set_block_time`] is called.
    pub async fn stop_mining(&self) -> anyhow::Result<()> {
        self.ask("evm_setIntervalMining", json!([0])).await?;
        self.ask("evm_setAutomine", json!([false])).await.map(drop)
    }

    /// Replaces the last `depth` blocks by empty ones; their transactions are gone.
    pub async fn reorg(&self, depth: u64) -> anyhow::Result<()> {
        self.ask("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// Remembers the chain as it is and returns the number to go back to it.
    pub async fn snapshot(&self) -> anyhow::Result<String> {
        let id = self.ask("evm_snapshot", json!([])).await?;
        id.as_str().map(str::to_owned).ok_or_else(|| anyhow!("anvil's snapshot has no number: {id}"))
    }

    /// Goes back to a snapshot, which is used up by that.
    pub async fn revert(&self, snapshot: &str) -> anyhow::Result<()> {
        let done = self.ask("evm_revert", json!([snapshot])).await?;
        if done == Value::Bool(true) { Ok(()) } else { Err(anyhow!("anvil has no snapshot {snapshot}")) }
    }

    /// Moves the chain's clock on and makes a block, so that the new time is seen.
    pub async fn advance_time(&self, seconds: u64) -> anyhow::Result<()> {
        self.ask("evm_increaseTime", json!([seconds])).await?;
        self.mine(1).await
    }

    async fn ask(&self, method: &'static str, params: Value) -> anyhow::Result<Value> {
        self.rpc.call(method, params).await.with_context(|| format!("anvil refused {method}"))
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // A process that is gone already can't be ended again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The `n`-th development wallet, the same on every chain.
pub fn dev_key(n: u32) -> WalletKey {
    key_of(&format!("t4t development wallet {n}"))
}

/// The wallet that deploys the development market and owns its token.
fn deployer_key() -> WalletKey {
    key_of("t4t development market")
}

fn key_of(phrase: &str) -> WalletKey {
    WalletKey::from_bytes(&keccak256(phrase)).expect("a hash is a valid key but for one case in 2^127")
}

fn spawn(binary: &Path, config: &AnvilConfig, errors: File) -> anyhow::Result<Child> {
    let mut command = Command::new(binary);
    command.args(["--host", "127.0.0.1", "--accounts", "1", "--hardfork", "cancun"]);
    command.args(["--port", &config.port.to_string(), "--chain-id", &config.chain_id.to_string()]);
    if let Some(seconds) = config.block_time {
        command.args(["--block-time", &seconds.to_string()]);
    }
    if let Some(timestamp) = config.timestamp {
        command.args(["--timestamp", &timestamp.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
    command.spawn().with_context(|| format!("{} could not be started", binary.display()))
}

/// Reads all that anvil says, so that it never waits for a reader, and reports the address it listens on.
fn watch(output: ChildStdout, found: oneshot::Sender<SocketAddr>) {
    let mut found = Some(found);
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let Some(address) = line.strip_prefix("Listening on ").and_then(|text| text.trim().parse().ok())
        else {
            continue;
        };
        if let Some(found) = found.take() {
            // Nobody waits any more if the start was given up.
            let _ = found.send(address);
        }
    }
}

fn said(errors: &mut File) -> String {
    let mut text = String::new();
    // What can't be read is not worth another error.
    let _ = errors.rewind().and_then(|()| errors.take(2000).read_to_string(&mut text));
    if text.trim().is_empty() { "it said nothing".into() } else { text.trim().into() }
}

fn find_binary() -> Option<PathBuf> {
    if let Some(set) = std::env::var_os("T4T_ANVIL") {
        return Some(set.into()).filter(|path: &PathBuf| path.is_file());
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = workspace.join("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&on_path).map(|folder| folder.join("anvil")).collect();
    std::iter::once(installed).chain(on_path).find(|path| path.is_file())
}

/// Our contracts on a development chain, and wallets with money.
#[derive(Debug)]
pub struct Market {
    /// Where the contracts are.
    pub addresses: ContractAddresses,
    rpc: Rpc,
    owner: WalletKey,
}

impl Market {
    /// What each funded wallet gets.
    pub const FUNDS: Xbzz = Xbzz::from_whole(10_000);

    /// Deploys the contracts and gives the first eight development wallets 10,000 xBZZ each. Blocks are made at once
    /// meanwhile, whatever the block time is.
    pub async fn deploy(anvil: &Anvil) -> anyhow::Result<Self> {
        Self::deploy_for(anvil, &(0..8).map(|n| dev_key(n).address()).collect::<Vec<_>>()).await
    }

    /// The same, but for these wallets.
    pub async fn deploy_for(anvil: &Anvil, wallets: &[Address]) -> anyhow::Result<Self> {
        let block_time = anvil.block_time.load(Ordering::Relaxed);
        if block_time > 0 {
            anvil.set_block_time(None).await?;
        }
        let owner = deployer_key();
        let addresses =
            deploy::deploy_market(&anvil.rpc, &owner).await.context("the market was not deployed")?;
        let market = Self { addresses, rpc: anvil.rpc.clone(), owner };
        for wallet in wallets {
            market.fund(*wallet, Self::FUNDS).await?;
        }
        if block_time > 0 {
            anvil.set_block_time(Some(block_time)).await?;
        }
        Ok(market)
    }

    /// Gives a wallet xBZZ.
    pub async fn fund(&self, wallet: Address, amount: Xbzz) -> anyhow::Result<()> {
        let mint = self.addresses.token().mint(wallet, amount);
        deploy::transact(&self.rpc, &self.owner, &mint).await.context("xBZZ could not be minted")?;
        Ok(())
    }

    /// What a wallet has.
    pub async fn xbzz_of(&self, wallet: Address) -> anyhow::Result<Xbzz> {
        Ok(self.addresses.token().balance_of(&self.rpc, wallet).await?)
    }

    /// The wallet that owns the token and deployed the contracts.
    pub fn owner(&self) -> &WalletKey {
        &self.owner
    }
}
