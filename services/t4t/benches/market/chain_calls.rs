//! What a gateway asks of the chain: for a request, and for doing nothing.

use std::time::{Duration, Instant};

use t4t_clock::{Clock, SystemClock};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::processes::{ECHO, Gateway, PATIENCE, Provider, RoleSpec, World, WorldConfig};
use url::Url;

use crate::counting::{Counting, Counts};
use crate::crowd;
use crate::dev::{T4T, ask, log_level};
use crate::memory::Memory;
use crate::samples::Samples;
use crate::table::Table;

/// A market in which calls are counted.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// Providers, the one that works among them.
    providers: u32,
    /// Seconds between blocks.
    block_time: u64,
    requests: u32,
}

const ALONE: Case = Case { providers: 1, block_time: 1, requests: 50 };

const CROWDED: Case = Case { providers: 200, ..ALONE };

const CROWDED_AND_SLOW: Case = Case { block_time: 5, requests: 20, ..CROWDED };

/// For how long nothing is asked of the gateway, to see what it asks by itself.
const IDLE: Duration = Duration::from_secs(30);

/// What comes after a start, a change or an answer is over after so long.
const SETTLE: Duration = Duration::from_secs(25);

const LAST_MODEL: &str = "last-of-the-crowd";

/// Counts calls with one provider and with many, with settings as operators have them.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let counting = Counting::start(world.anvil.rpc_url())?;
    let log_level = log_level();
    let common = [("LOG_LEVEL", log_level.as_str()), ("T4T_CHAIN_POLL_MS", "1000")];
    let provider = Provider::start(&world, &RoleSpec::provider().with(&common), &backend.url())?;
    world.on_offer(&[provider.wallet]).await?;
    world.anvil.set_block_time(Some(ALONE.block_time)).await?;
    // The cheapest is always the one that works.
    let more = [("GNOSIS_RPC_URL", counting.url()), ("T4T_SELECTION_STRATEGY", "cheapest")];
    let variables = [&common[..], &more].concat();
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
    gateway.offers(&world, ECHO).await?;
    let base = gateway.url().await?;
    let mut counted = Counted { world, counting, gateway, provider, base };
    counted.count(ALONE).await?.show(table);
    let others = CROWDED.providers - ALONE.providers;
    crowd::register(&counted.world.anvil, &counted.world.market, others, LAST_MODEL).await?;
    counted.gateway.offers(&counted.world, LAST_MODEL).await?;
    counted.count(CROWDED).await?.show(table);
    counted.world.anvil.set_block_time(Some(CROWDED_AND_SLOW.block_time)).await?;
    counted.start_anew().await?;
    counted.count(CROWDED_AND_SLOW).await?.show(table);
    counted.counting.stop().await;
    Ok(())
}

struct Counted {
    world: World,
    counting: Counting,
    gateway: Gateway,
    provider: Provider,
    base: Url,
}

/// What was asked.
struct Found {
    case: Case,
    idle: Counts,
    busy: Counts,
    /// How long the requests took altogether.
    span: Duration,
    requests: Samples,
    gateway: [Memory; 2],
    provider: [Memory; 2],
}

impl Counted {
    /// Starts the gateway again: it has learned how often blocks come.
    async fn start_anew(&mut self) -> anyhow::Result<()> {
        self.gateway.process.restart(&[])?;
        self.base = self.gateway.url().await?;
        self.gateway.offers(&self.world, LAST_MODEL).await
    }

    async fn count(&self, case: Case) -> anyhow::Result<Found> {
        ask(&self.world.app, &self.base).await?;
        self.world.settled(PATIENCE).await?;
        SystemClock.sleep(SETTLE).await;
        let before = self.counting.counts();
        SystemClock.sleep(IDLE).await;
        let idle = self.counting.counts().since(&before);
        let memory = || anyhow::Ok([Memory::of(&self.gateway.process)?, Memory::of(&self.provider.process)?]);
        let held = memory()?;
        let (before, began) = (self.counting.counts(), Instant::now());
        let mut taken = Vec::new();
        for _ in 0..case.requests {
            taken.push(ask(&self.world.app, &self.base).await?.1);
        }
        self.world.settled(PATIENCE).await?;
        let (busy, span) = (self.counting.counts().since(&before), began.elapsed());
        let holds = memory()?;
        Ok(Found {
            case,
            idle,
            busy,
            span,
            requests: taken.into_iter().collect(),
            gateway: [held[0], holds[0]],
            provider: [held[1], holds[1]],
        })
    }
}

impl Found {
    fn show(&self, table: &mut Table) {
        let Case { providers, block_time, requests } = self.case;
        println!("{}, {block_time} s blocks", some(providers));
        println!("  requests: {}", self.requests);
        println!("  idle for {} s: {}", IDLE.as_secs(), self.idle);
        println!("  {requests} requests in {:.1} s: {}", self.span.as_secs_f64(), self.busy);
        let methods = self.busy.methods.keys();
        let each: Vec<String> =
            methods.map(|method| format!("{method} {:.2}", self.beyond_idle(method))).collect();
        println!("  for one request, beyond what the same time costs idle: {}", each.join(", "));
        println!(
            "  for one request: {:.2} calls with all polling, {:.2} beyond idle, in {:.2} HTTP requests beyond idle",
            self.busy.calls() as f64 / f64::from(requests),
            self.calls(),
            self.beyond(self.busy.requests, self.idle.requests),
        );
        let ([before, after], [sold_before, sold_after]) = (self.gateway, self.provider);
        println!("  memory: gateway {before} to {after}, provider {sold_before} to {sold_after}");
        let what =
            format!("RPC calls for a request on the gateway: {}, {block_time} s blocks", some(providers));
        table.at_most(what, self.calls(), 3.0, "");
    }

    /// JSON-RPC calls for one request.
    fn calls(&self) -> f64 {
        self.beyond(self.busy.calls(), self.idle.calls())
    }

    fn beyond_idle(&self, method: &str) -> f64 {
        let of = |counts: &Counts| counts.methods.get(method).copied().unwrap_or_default();
        self.beyond(of(&self.busy), of(&self.idle))
    }

    fn beyond(&self, busy: u64, idle: u64) -> f64 {
        let by_itself = idle as f64 * self.span.as_secs_f64() / IDLE.as_secs_f64();
        (busy as f64 - by_itself) / f64::from(self.case.requests)
    }
}

fn some(providers: u32) -> String {
    if providers == 1 { "1 provider".into() } else { format!("{providers} providers") }
}
