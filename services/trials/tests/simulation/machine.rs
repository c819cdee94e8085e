//! A machine of its own: a runtime that can be pulled like a plug, and the real services on it.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use t4t_api::Buying;
use t4t_api::job_dispatcher::{BuyAnswer, BuyingError, BuyingProgress};
use t4t_chain::{ContractAddresses, Rpc, RpcConfig};
use t4t_clock::{Clock, SharedClock};
use t4t_crypto::{SealingKey, WalletKey};
use t4t_inference::{End, InferenceRequest, Kind, Piece};
use t4t_job_dispatcher::buying::{BuyingConfig, BuyingDeps, BuyingService};
use t4t_job_dispatcher::selling::{SellingConfig, SellingDeps, SellingService};
use t4t_job_dispatcher::{Courier, CourierConfig, SwarmCourier};
use t4t_registry_watcher::{RegistryWatcherService, WatcherConfig, WatcherDeps};
use t4t_settlement::{SettlementConfig, SettlementDeps, SettlementService};
use t4t_store::{Market, Store};
use t4t_types::{Address, Overlay, RequestId, keccak256};
use tokio::runtime::{Builder, Runtime};

use super::backend::{MODEL, Runner, Runs, SLOTS};
use super::chain::Chain;
use super::network::{Node, Surroundings, Swarm, Wire, lock};
use super::timeline::MachineClock;

/// A supervisor's pause before it starts again what did not start.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// An app's pause before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Real time that a machine may take for one thing; beyond it, something waits for what never comes.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What a machine is.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Gateway { apps: Apps },
    Provider { runs: Runs },
}

/// What apps ask, and what they were told.
pub(crate) type Apps = Arc<Mutex<Vec<App>>>;

/// One app's question.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) asks_at_ms: u64,
    pub(crate) text: String,
    pub(crate) told: Option<Told>,
    pub(crate) last_error: Option<String>,
}

/// The end of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Answer(String),
    Error(String),
}

impl App {
    pub(crate) fn id(&self) -> RequestId {
        RequestId::new(keccak256(&self.text))
    }
}

/// What does not change when it dies.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) role: Role,
    pub(crate) wallet_seed: [u8; 32],
    pub(crate) database: PathBuf,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) around: Arc<Surroundings>,
    pub(crate) chain: Arc<Mutex<Chain>>,
    pub(crate) swarm: Arc<Swarm>,
    pub(crate) contracts: ContractAddresses,
    pub(crate) delivery_seconds: u64,
}

impl Body {
    pub(crate) fn key(&self) -> WalletKey {
        WalletKey::from_bytes(&self.wallet_seed).expect("a hash is a key")
    }

    pub(crate) fn wallet(&self) -> Address {
        self.key().address()
    }

    fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock) as SharedClock
    }
}

/// A machine, running or not.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) body: Body,
    power: Option<Power>,
}

#[derive(Debug)]
struct Power {
    runtime: Runtime,
    rest: Arc<Rest>,
}

/// Finds out when nothing moves any more.
#[derive(Debug, Default)]
struct Rest {
    rests: AtomicBool,
    store: Mutex<Option<Store>>,
    waker: Mutex<Option<Waker>>,
}

impl Rest {
    /// No task can go on. If the database is idle too, the machine waits for the world.
    fn parks(&self) {
        if lock(&self.store).as_ref().is_some_and(Store::is_idle) {
            self.rests.store(true, Ordering::SeqCst);
            if let Some(waker) = lock(&self.waker).take() {
                waker.wake();
            }
        }
    }
}

impl Machine {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, power: None }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.power.is_some()
    }

    /// Boots it.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let rest = Arc::new(Rest::default());
        let parking = Arc::clone(&rest);
        let runtime =
            Builder::new_current_thread().enable_all().on_thread_park(move || parking.parks()).build()?;
        let chain_id = lock(&self.body.chain).chain_id;
        let market = Market { chain_id, escrow: self.body.contracts.escrow };
        let store = runtime
            .block_on(async { Store::open_in_order(&self.body.database).await?.for_market(market).await })?;
        *lock(&rest.store) = Some(store.clone());
        let body = self.body.clone();
        runtime.spawn(async move { live(body, store).await });
        self.power = Some(Power { runtime, rest });
        self.body.around.tell("starts");
        Ok(())
    }

    /// Pulls its plug.
    pub(crate) fn kill(&mut self) {
        if self.power.take().is_some() {
            self.body.around.tell("dies");
        }
    }

    /// Lets it do whatever it can do now.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        let Some(power) = &self.power else { return Ok(()) };
        let rest = &power.rest;
        rest.rests.store(false, Ordering::SeqCst);
        let resting = poll_fn(|context| {
            if rest.rests.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            *lock(&rest.waker) = Some(context.waker().clone());
            Poll::Pending
        });
        let settled = power.runtime.block_on(async { tokio::time::timeout(STUCK_AFTER, resting).await });
        settled.map_err(|_| anyhow::anyhow!("{} never comes to rest", self.body.around.name))
    }
}

/// Runs the role; what does not start is started again, as a supervisor does.
async fn live(body: Body, store: Store) {
    loop {
        let end = match &body.role {
            Role::Gateway { apps } => gateway(&body, &store, apps).await,
            Role::Provider { runs } => provider(&body, &store, runs).await,
        };
        if let Err(error) = end {
            tracing::warn!(machine = body.around.name, error = format!("{error:#}"), "did not start");
        }
        body.clock.sleep(RESTART_PAUSE).await;
    }
}

/// What both roles stand on.
struct Ground {
    settlement: t4t_settlement::Running,
    watcher: t4t_registry_watcher::Running,
    courier: Arc<dyn Courier>,
}

async fn ground(body: &Body, store: &Store) -> anyhow::Result<Ground> {
    let clock = body.clock();
    let wire = Wire { around: Arc::clone(&body.around), chain: Arc::clone(&body.chain) };
    let endpoint = "http://chain.invalid/".parse()?;
    let rpc = Rpc::over(Arc::new(wire), RpcConfig::new([endpoint]), Arc::clone(&clock))?;
    let chain_id = lock(&body.chain).chain_id;
    let deps = SettlementDeps {
        rpc: rpc.clone(),
        store: store.clone(),
        wallet: body.key(),
        clock: Arc::clone(&clock),
    };
    let config = SettlementConfig::new(chain_id, body.contracts);
    let settlement = SettlementService::start_without_mailbox(config, deps).await?;
    let deps = WatcherDeps { rpc, store: store.clone(), clock: Arc::clone(&clock) };
    let watcher =
        RegistryWatcherService::start_without_mailbox(WatcherConfig::new(body.contracts), deps).await?;
    let node = Node {
        around: Arc::clone(&body.around),
        swarm: Arc::clone(&body.swarm),
        overlay: Overlay::new(keccak256(body.wallet_seed)),
        clock: Arc::clone(&clock),
    };
    let config = CourierConfig { target_bits: Some(8), ..CourierConfig::default() };
    let courier = SwarmCourier::new(Arc::new(node), Arc::clone(&settlement.settlement), clock, config).await;
    Ok(Ground { settlement, watcher, courier: Arc::new(courier) })
}

async fn gateway(body: &Body, store: &Store, apps: &Apps) -> anyhow::Result<()> {
    let ground = ground(body, store).await?;
    let deps = BuyingDeps {
        wallet: body.wallet(),
        sealing_key: SealingKey::derive(&body.key()),
        watcher: ground.watcher.watcher(),
        settlement: Arc::clone(&ground.settlement.settlement),
        courier: ground.courier,
        store: store.clone(),
        clock: body.clock(),
    };
    let config = BuyingConfig { delivery_seconds: body.delivery_seconds, ..BuyingConfig::default() };
    let running = BuyingService::start_without_mailbox(config, deps).await?;
    let count = lock(apps).len();
    let asking = (0..count).map(|number| ask(body, running.buying(), apps, number));
    futures_util::future::join_all(asking).await;
    std::future::pending::<()>().await;
    Ok(())
}

/// Asks until there is an answer, or an error that says that another try is no use.
async fn ask(body: &Body, buying: Arc<dyn Buying>, apps: &Apps, number: usize) {
    let app = lock(apps)[number].clone();
    if app.told.is_some() {
        return;
    }
    let now_ms = body.around.timeline.now_ms();
    body.clock.sleep(Duration::from_millis(app.asks_at_ms.saturating_sub(now_ms))).await;
    let request =
        json!({ "model": MODEL, "max_tokens": 20, "messages": [{ "role": "user", "content": app.text }] });
    let request = InferenceRequest::read(Kind::Chat, request.to_string().into()).expect("it is a request");
    loop {
        let call =
            BuyAnswer { id: app.id(), model: MODEL.parse().expect("a name"), request: request.clone() };
        let told = match bought(&*buying, call).await {
            Ok(answer) => Some(Told::Answer(answer)),
            Err(error) => {
                lock(apps)[number].last_error = Some(error.to_string());
                is_final(&error).then(|| Told::Error(error.to_string()))
            }
        };
        if told.is_some() {
            body.around.tell("told an app");
            lock(apps)[number].told = told;
            return;
        }
        body.clock.sleep(ASK_AGAIN).await;
    }
}

/// What the same question can't change any more.
fn is_final(error: &BuyingError) -> bool {
    use t4t_api::ServiceError;
    !matches!(error.status(), 404 | 429 | 503)
}

async fn bought(buying: &dyn Buying, call: BuyAnswer) -> Result<String, BuyingError> {
    let mut progress = buying.open(call).await?;
    while let Some(step) = progress.next().await {
        if let BuyingProgress::Piece(Piece::End(End { whole: Some(whole), .. })) = step? {
            let response: serde_json::Value = serde_json::from_str(whole.as_str()).unwrap_or_default();
            return Ok(response["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned());
        }
    }
    Err(BuyingError::Unavailable { reason: "the stream ended".into() })
}

async fn provider(body: &Body, store: &Store, runs: &Runs) -> anyhow::Result<()> {
    let ground = ground(body, store).await?;
    let runner = Runner { around: Arc::clone(&body.around), runs: Arc::clone(runs), busy: Arc::default() };
    let deps = SellingDeps {
        wallet: body.wallet(),
        sealing_key: SealingKey::derive(&body.key()),
        watcher: ground.watcher.watcher(),
        settlement: Arc::clone(&ground.settlement.settlement),
        courier: ground.courier,
        runner: Some(Arc::new(runner)),
        token: None,
        store: store.clone(),
        clock: body.clock(),
    };
    let config = SellingConfig { max_concurrent_jobs: Some(SLOTS), ..SellingConfig::default() };
    let _running = SellingService::start_without_mailbox(config, deps).await?;
    std::future::pending::<()>().await;
    Ok(())
}
