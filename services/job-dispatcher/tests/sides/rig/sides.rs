//! The two sides as machines: the real services on a database that outlives them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use t4t_api::Buying;
use t4t_api::job_dispatcher::{BuyAnswer, BuyingError};
use t4t_clock::SharedClock;
use t4t_crypto::{SealingKey, WalletKey};
use t4t_job_dispatcher::buying::{BuyingConfig, BuyingDeps, BuyingService, Strategy};
use t4t_job_dispatcher::selling::{self, SellingConfig, SellingDeps, SellingService};
use t4t_job_dispatcher::{CourierConfig, SwarmCourier};
use t4t_protocol::job::{BuyingState, SellingState};
use t4t_store::{Market, Store};
use t4t_testkit::virtual_time::{Machine, Settled, Timeline};
use t4t_types::{Address, JobId, Overlay, TokenPrices, keccak256};

use super::carrier::{Node, NodeFaults};
use super::messages::{self, Said};
use super::runner::{Backend, Runner};
use super::settlement::Settlement;
use super::watcher::{Faults, Watcher};
use super::world::{World, lock};

/// How a question ended.
/// The market that every database here is of.
pub(crate) const MARKET: Market = Market { chain_id: 100, escrow: Address::new([0xb; 20]) };

pub(crate) type End = Result<String, BuyingError>;

/// A database with all its tables, made once: making them takes longer than most tests.
fn database(folder: &tempfile::TempDir) -> PathBuf {
    static MADE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Store::open_for(&path, MARKET).await.unwrap().close().await });
        std::fs::read(&path).unwrap()
    });
    let path = folder.path().join("t4t.db");
    std::fs::write(&path, &*MADE).unwrap();
    path
}

/// What both sides stand on.
pub(crate) struct Footing {
    pub(crate) key: Arc<WalletKey>,
    pub(crate) node_faults: Arc<Mutex<NodeFaults>>,
    pub(crate) watcher_faults: Arc<Mutex<Faults>>,
    world: Arc<World>,
    clock: SharedClock,
}

impl Footing {
    pub(crate) fn new(world: &Arc<World>, clock: SharedClock, key: WalletKey) -> Self {
        let (node_faults, watcher_faults) = (Arc::default(), Arc::default());
        Self { key: Arc::new(key), node_faults, watcher_faults, world: Arc::clone(world), clock }
    }

    pub(crate) fn watcher(&self) -> Arc<Watcher> {
        Arc::new(Watcher { world: Arc::clone(&self.world), faults: Arc::clone(&self.watcher_faults) })
    }

    pub(crate) fn settlement(&self) -> Arc<Settlement> {
        Arc::new(Settlement { world: Arc::clone(&self.world), key: Arc::clone(&self.key) })
    }

    fn node(&self) -> Arc<Node> {
        let overlay = Overlay::new(keccak256(self.key.address().as_bytes()));
        Arc::new(Node { world: Arc::clone(&self.world), overlay, faults: Arc::clone(&self.node_faults) })
    }

    /// The real courier over the scripted node.
    pub(crate) fn courier(&self) -> impl Future<Output = SwarmCourier> + Send + 'static {
        let config = CourierConfig { target_bits: Some(8), ..CourierConfig::default() };
        SwarmCourier::new(self.node(), self.settlement(), Arc::clone(&self.clock), config)
    }

    pub(crate) async fn buying_deps(&self, store: Store) -> BuyingDeps {
        BuyingDeps {
            wallet: self.key.address(),
            sealing_key: SealingKey::derive(&self.key),
            watcher: self.watcher(),
            settlement: self.settlement(),
            courier: Arc::new(self.courier().await),
            store: store.for_market(MARKET).await.unwrap(),
            clock: Arc::clone(&self.clock),
        }
    }

    pub(crate) async fn selling_deps(&self, store: Store, backend: &Arc<Backend>) -> SellingDeps {
        let runner = Runner { backend: Arc::clone(backend), clock: Arc::clone(&self.clock) };
        SellingDeps {
            wallet: self.key.address(),
            sealing_key: SealingKey::derive(&self.key),
            watcher: self.watcher(),
            settlement: self.settlement(),
            courier: Arc::new(self.courier().await),
            runner: Some(Arc::new(runner)),
            token: None,
            store: store.for_market(MARKET).await.unwrap(),
            clock: Arc::clone(&self.clock),
        }
    }
}

/// A gateway that chooses by price alone, so that a test knows whom.
pub(crate) fn buying_config() -> BuyingConfig {
    BuyingConfig { strategy: Strategy::Cheapest, delivery_seconds: 300, ..BuyingConfig::default() }
}

/// What an app heard so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) said: Vec<Said>,
    pub(crate) end: Option<End>,
}

type Apps = Arc<Mutex<HashMap<t4t_types::RequestId, Heard>>>;

/// The gateway.
pub(crate) struct Gateway {
    pub(crate) footing: Arc<Footing>,
    pub(crate) config: BuyingConfig,
    pub(crate) machine: Machine,
    database: PathBuf,
    buying: Arc<Mutex<Option<Arc<dyn Buying>>>>,
    apps: Apps,
    names: Vec<(t4t_types::RequestId, String)>,
    _folder: tempfile::TempDir,
}

impl Gateway {
    pub(crate) fn new(world: &Arc<World>, timeline: &Timeline) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            footing: Arc::new(Footing::new(world, timeline.clock(), super::wallet(1))),
            config: buying_config(),
            machine: Machine::new("gateway"),
            database: database(&folder),
            buying: Arc::default(),
            apps: Apps::default(),
            names: Vec::new(),
            _folder: folder,
        }
    }

    pub(crate) fn wallet(&self) -> Address {
        self.footing.key.address()
    }

    /// Boots it on its database.
    pub(crate) fn start(&mut self) {
        let (footing, config) = (Arc::clone(&self.footing), self.config.clone());
        let buying = Arc::clone(&self.buying);
        *lock(&buying) = None;
        let live = |store: Store| async move {
            let deps = footing.buying_deps(store).await;
            let running = BuyingService::start_without_mailbox(config, deps).await.unwrap();
            *lock(&buying) = Some(running.buying());
            std::future::pending::<()>().await;
        };
        self.machine.start(&self.database, live).unwrap();
        self.settle();
    }

    pub(crate) fn kill(&mut self) {
        // Whoever still asks it holds on to it.
        *lock(&self.buying) = None;
        self.machine.kill();
    }

    pub(crate) fn settle(&mut self) -> Settled {
        let settled = self.machine.settle().unwrap();
        if settled == Settled::Died {
            self.kill();
        }
        settled
    }

    /// An app asks; asked again, it hears anew. A gateway that is off says nothing.
    pub(crate) fn ask(&mut self, call: BuyAnswer) {
        let id = call.id;
        lock(&self.apps).insert(id, Heard::default());
        let apps = Arc::clone(&self.apps);
        let buying = lock(&self.buying).clone();
        let Some(buying) = buying else { return };
        self.machine.spawn(async move {
            let hear = |said| lock(&apps).entry(id).or_default().said.push(said);
            let end = |end| lock(&apps).entry(id).or_default().end = Some(end);
            let mut steps = match buying.open(call).await {
                Ok(steps) => steps,
                Err(error) => return end(Err(error)),
            };
            while let Some(step) = steps.next().await {
                match step.as_ref().map(messages::said) {
                    Ok(Said::Answer(text)) => return end(Ok(text)),
                    Ok(said) => hear(said),
                    Err(error) => return end(Err(error.clone())),
                }
            }
        });
    }

    /// Names a question, for the story of a test that failed.
    pub(crate) fn name(&mut self, text: &str) {
        self.names.push((messages::request_id(text), text.to_owned()));
    }

    pub(crate) fn heard(&self, text: &str) -> Heard {
        lock(&self.apps).get(&messages::request_id(text)).cloned().unwrap_or_default()
    }

    pub(crate) fn end(&self, text: &str) -> Option<End> {
        self.heard(text).end
    }

    pub(crate) fn said(&self) -> Vec<(String, Heard)> {
        let name = |id: &t4t_types::RequestId| {
            self.names.iter().find(|(known, _)| known == id).map_or(id.to_string(), |(_, name)| name.clone())
        };
        lock(&self.apps).iter().map(|(id, heard)| (name(id), heard.clone())).collect()
    }

    /// Every row, by state.
    pub(crate) fn rows(&self) -> Vec<BuyingState> {
        read(&self.database, async |store| store.buying_list_recent(1000).await)
            .into_iter()
            .map(|row| row.state)
            .collect()
    }

    pub(crate) fn open_rows(&self) -> usize {
        self.rows().iter().filter(|state| !state.is_final()).count()
    }
}

/// A provider.
pub(crate) struct Provider {
    pub(crate) footing: Arc<Footing>,
    pub(crate) config: SellingConfig,
    pub(crate) backend: Arc<Backend>,
    pub(crate) machine: Machine,
    pub(crate) database: PathBuf,
    running: Arc<Mutex<Option<selling::Running>>>,
    _folder: tempfile::TempDir,
}

impl Provider {
    pub(crate) fn new(world: &Arc<World>, timeline: &Timeline, key: WalletKey, prices: TokenPrices) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            footing: Arc::new(Footing::new(world, timeline.clock(), key)),
            config: SellingConfig::default(),
            backend: Backend::new(prices),
            machine: Machine::new("provider"),
            database: database(&folder),
            running: Arc::default(),
            _folder: folder,
        }
    }

    pub(crate) fn wallet(&self) -> Address {
        self.footing.key.address()
    }

    /// Boots it on its database.
    pub(crate) fn start(&mut self) {
        let (footing, config) = (Arc::clone(&self.footing), self.config.clone());
        let (backend, running) = (Arc::clone(&self.backend), Arc::clone(&self.running));
        let live = |store: Store| async move {
            let deps = footing.selling_deps(store, &backend).await;
            let started = SellingService::start_without_mailbox(config, deps).await.unwrap();
            *lock(&running) = Some(started);
            std::future::pending::<()>().await;
        };
        self.machine.start(&self.database, live).unwrap();
        self.settle();
    }

    pub(crate) fn kill(&mut self) {
        *lock(&self.running) = None;
        self.machine.kill();
    }

    pub(crate) fn settle(&mut self) -> Settled {
        let settled = self.machine.settle().unwrap();
        if settled == Settled::Died {
            self.kill();
        }
        settled
    }

    /// How often its backend was asked for a text.
    pub(crate) fn runs(&self, text: &str) -> u32 {
        lock(&self.backend.asked).get(text).copied().unwrap_or_default()
    }

    /// A job's row.
    pub(crate) fn row(&self, job: JobId) -> Option<t4t_store::selling::SellingJob> {
        read(&self.database, async |store| store.selling_by_job(job).await)
    }

    pub(crate) fn state(&self, job: JobId) -> Option<SellingState> {
        self.row(job).map(|row| row.state)
    }

    pub(crate) fn open_rows(&self) -> usize {
        read(&self.database, async |store| store.selling_list_open().await).len()
    }

    /// What it says of itself.
    pub(crate) fn status(&self) -> t4t_api::job_dispatcher::SellingStatus {
        let selling = lock(&self.running).as_ref().map(selling::Running::selling).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(selling.ask(t4t_api::job_dispatcher::GetSellingStatus {})).unwrap()
    }
}

/// Reads a database beside the machine that owns it.
fn read<T>(path: &std::path::Path, look: impl AsyncFnOnce(&Store) -> Result<T, t4t_store::StoreError>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open_existing(path).await.unwrap();
        let found = look(&store).await.unwrap();
        store.close().await;
        found
    })
}
