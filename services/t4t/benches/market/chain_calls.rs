//! What a gateway asks of the chain: for a request, and for doing nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::keyfile;
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market, dev_key};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_types::Xbzz;

use crate::app::{App, MODEL};
use crate::counting::{Counting, Counts};
use crate::crowd;
use crate::process::{PATIENCE, Process, t4t};
use crate::samples::Samples;
use crate::table::Table;

const REQUESTS: u32 = 50;

/// Providers of the crowded market, the one that works among them.
const CROWD: u32 = 200;

/// For how long nothing is asked of the gateway, to see what it asks by itself.
const IDLE: Duration = Duration::from_secs(30);

/// What comes after a start or a change is over after so long.
const SETTLE: Duration = Duration::from_secs(15);

const LAST_MODEL: &str = "last-of-the-crowd";

/// Counts calls with one provider and with many.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let anvil = Anvil::start(AnvilConfig { block_time: Some(1), ..AnvilConfig::default() }).await?;
    let market = Market::deploy(&anvil).await?;
    let bee = BeeDev::start(BeeDevConfig { faults: Faults::realistic(), ..BeeDevConfig::default() }).await?;
    let counting = Counting::start(anvil.rpc_url())?;
    let world = World { home: home.path(), market: &market, bee: &bee };
    let chain_url = anvil.rpc_url().to_string();
    let _provider = world.provider(&chain_url, &backend)?;
    let (_gateway, app) = world.gateway(counting.url()).await?;
    until_listed(&app, MODEL).await?;
    let alone = count(&world, &app, &counting, 1).await?;
    crowd::register(&anvil, &market, CROWD - 1, LAST_MODEL).await?;
    until_listed(&app, LAST_MODEL).await?;
    let crowded = count(&world, &app, &counting, CROWD).await?;
    println!("ratio: a request with {CROWD} providers / with one {:.2}", crowded / alone);
    for (providers, calls) in [("1 provider".to_owned(), alone), (format!("{CROWD} providers"), crowded)] {
        table.at_most(format!("RPC calls for a request on the gateway, {providers}"), calls, 3.0, "");
    }
    counting.stop().await;
    Ok(())
}

async fn until_listed(app: &App, model: &str) -> anyhow::Result<()> {
    let listed = async || app.models().await.ok()?.iter().any(|listed| listed == model).then_some(());
    eventually(PATIENCE, model, listed).await
}

/// Calls for one request, beyond what the gateway asks by itself in the same time.
async fn count(world: &World<'_>, app: &App, counting: &Counting, providers: u32) -> anyhow::Result<f64> {
    app.ask().await?;
    world.until_settled().await?;
    SystemClock.sleep(SETTLE).await;
    let before = counting.counts();
    SystemClock.sleep(IDLE).await;
    let idle = counting.counts().since(&before);
    let (before, began) = (counting.counts(), Instant::now());
    let mut taken = Vec::new();
    for _ in 0..REQUESTS {
        taken.push(app.ask().await?.took);
    }
    world.until_settled().await?;
    let busy = counting.counts().since(&before);
    let took = began.elapsed();
    println!("{providers} providers, requests: {}", taken.into_iter().collect::<Samples>());
    println!("{providers} providers, idle for {} s: {idle}", IDLE.as_secs());
    println!("{providers} providers, {REQUESTS} requests in {:.1} s: {busy}", took.as_secs_f64());
    let share = took.as_secs_f64() / IDLE.as_secs_f64();
    println!("{providers} providers, for one request: {}", per_request(&busy, &idle, share));
    let per_request =
        |of: fn(&Counts) -> u64| (of(&busy) as f64 - of(&idle) as f64 * share) / f64::from(REQUESTS);
    println!(
        "{providers} providers, for one request: {:.2} calls with all polling, {:.2} without what is asked idle, in {:.2} \
         HTTP requests",
        busy.calls() as f64 / f64::from(REQUESTS),
        per_request(Counts::calls),
        per_request(|counts| counts.requests),
    );
    Ok(per_request(Counts::calls))
}

/// Each method's calls for one request, without those that the same time costs idle.
fn per_request(busy: &Counts, idle: &Counts, share: f64) -> String {
    let each = busy.methods.iter().map(|(method, count)| {
        let by_itself = idle.methods.get(method).copied().unwrap_or_default() as f64 * share;
        format!("{method} {:.2}", (*count as f64 - by_itself) / f64::from(REQUESTS))
    });
    each.collect::<Vec<_>>().join(", ")
}

struct World<'a> {
    home: &'a Path,
    market: &'a Market,
    bee: &'a BeeDev,
}

impl World<'_> {
    fn start(
        &self,
        role: &str,
        chain_url: &str,
        wallet: u32,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let folder = self.home.join(role);
        std::fs::create_dir_all(&folder)?;
        keyfile::write_wallet_hex(&folder.join("wallet.key"), &dev_key(wallet))?;
        let node = usize::from(role == "provider");
        let addresses = self.market.addresses;
        let mut command = t4t(role, self.home);
        command
            .env("T4T_DATA_DIR", &folder)
            .env("GNOSIS_RPC_URL", chain_url)
            .env("REGISTRY_ADDRESS", addresses.registry.to_string())
            .env("ESCROW_ADDRESS", addresses.escrow.to_string())
            .env("XBZZ_ADDRESS", addresses.token.to_string())
            .env("BEE_API_URL", &self.bee.urls()[node])
            .envs(more.iter().copied());
        Process::start(command, self.home.join(format!("{role}.log")))
    }

    fn provider(&self, chain_url: &str, backend: &ScriptedBackend) -> anyhow::Result<Process> {
        let endpoints = self.home.join("endpoints.json");
        std::fs::write(&endpoints, serde_json::json!([{ "name": "b", "url": backend.url() }]).to_string())?;
        let endpoints = endpoints.to_string_lossy().into_owned();
        self.start("provider", chain_url, 0, &[("T4T_ENDPOINTS_FILE", &endpoints), ("T4T_ADMIN_PORT", "0")])
    }

    async fn gateway(&self, chain_url: &str) -> anyhow::Result<(Process, App)> {
        // The cheapest is always the one that works.
        let more = [
            ("T4T_GATEWAY_PORT", "0"),
            ("T4T_SELECTION_STRATEGY", "cheapest"),
            ("T4T_MODELS_CACHE_TTL_SECONDS", "1"),
        ];
        let process = self.start("gateway", chain_url, 1, &more)?;
        let read = |line: &str| Some(line.split_once("base URL ")?.1.split_once("/v1")?.0.to_owned());
        let base = process.says("the gateway is ready", read).await?;
        let app = App::new(&base)?;
        Ok((process, app))
    }

    /// Waits until no payment is in escrow.
    async fn until_settled(&self) -> anyhow::Result<()> {
        let escrow = self.market.addresses.escrow;
        let is_empty =
            async || self.market.xbzz_of(escrow).await.is_ok_and(|held| held == Xbzz::ZERO).then_some(());
        eventually(PATIENCE, "an empty escrow", is_empty).await
    }
}
