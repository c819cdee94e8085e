//! A chain with the market on it, and watchers of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::registry_watcher::{
    Candidate, JobEvent, JobHappening, JobRole, ListCandidates, ListProviders, ProviderListing, WatchJobs,
};
use t4t_api::{ItemStream, RegistryWatcher};
use t4t_chain::contracts::{JobOrder, Offering, Registration};
use t4t_chain::{Call, ChainEvent, Receipt, Rpc, RpcConfig, deploy, events};
use t4t_clock::{SharedClock, SystemClock, timeout};
use t4t_registry_watcher::{RegistryWatcherService, Running, WatcherConfig, WatcherDeps};
use t4t_store::Store;
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market, dev_key};
use t4t_types::{Address, EncryptionKey, JobId, Overlay, SwarmRef, TokenPrices, Xbzz};
use url::Url;

/// The gateway's wallet.
pub(crate) const CLIENT: u32 = 0;

/// How long anything may take in a test.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What a test's job costs at most.
pub(crate) const PRICE: Xbzz = Xbzz::from_plur(100_000_000_000_000);

/// A chain with the market on it.
pub(crate) struct World {
    pub(crate) anvil: Anvil,
    pub(crate) market: Market,
    folder: tempfile::TempDir,
}

/// An offer.
pub(crate) fn offer(model: &str, input: u128, output: u128) -> Offering {
    let prices = TokenPrices { input: Xbzz::from_plur(input), output: Xbzz::from_plur(output) };
    Offering { model: model.into(), prices, max_context_tokens: 8192, max_latency_seconds: 120 }
}

impl World {
    pub(crate) async fn start() -> Self {
        let anvil = Anvil::start(AnvilConfig::default()).await.unwrap();
        let market = Market::deploy(&anvil).await.unwrap();
        let world = Self { anvil, market, folder: tempfile::tempdir().unwrap() };
        world
            .transact(CLIENT, world.market.addresses.token().approve_all(world.market.addresses.escrow))
            .await;
        world
    }

    /// A configuration that looks only when a test says so.
    pub(crate) fn config(&self) -> WatcherConfig {
        WatcherConfig {
            poll_idle: Duration::from_secs(3600),
            refresh_interval: Duration::ZERO,
            ..WatcherConfig::new(self.market.addresses)
        }
    }

    pub(crate) async fn store(&self) -> Store {
        let market =
            t4t_store::Market { chain_id: self.anvil.chain_id(), escrow: self.market.addresses.escrow };
        Store::open_for(&self.folder.path().join("t4t.db"), market).await.unwrap()
    }

    /// A client of the chain that counts its own calls.
    pub(crate) fn rpc_at(&self, url: Url) -> Rpc {
        let config = RpcConfig {
            deadline: Duration::from_secs(2),
            attempts: 2,
            backoff: Duration::from_millis(5),
            max_backoff: Duration::from_millis(20),
            ..RpcConfig::new([url])
        };
        Rpc::new(config, SystemClock::shared()).unwrap()
    }

    pub(crate) fn rpc(&self) -> Rpc {
        self.rpc_at(self.anvil.rpc_url())
    }

    /// A watcher that has looked once.
    pub(crate) async fn watcher(&self) -> Running {
        let running = self.start_watcher(self.config(), self.rpc()).await;
        running.sync_once().await.unwrap();
        running
    }

    pub(crate) async fn start_watcher(&self, config: WatcherConfig, rpc: Rpc) -> Running {
        self.start_watcher_at(config, rpc, SystemClock::shared()).await
    }

    pub(crate) async fn start_watcher_at(
        &self,
        config: WatcherConfig,
        rpc: Rpc,
        clock: SharedClock,
    ) -> Running {
        let deps = WatcherDeps { rpc, store: self.store().await, clock };
        RegistryWatcherService::start(config, deps).await.unwrap()
    }

    pub(crate) async fn transact(&self, wallet: u32, call: Call) -> Receipt {
        deploy::transact(self.anvil.rpc(), &dev_key(wallet), &call).await.unwrap()
    }

    pub(crate) async fn register(&self, wallet: u32, offerings: &[Offering]) -> Address {
        let addresses = self.market.addresses;
        let byte = u8::try_from(wallet).unwrap();
        let registration = Registration {
            encryption_key: EncryptionKey::new([byte; 32]),
            overlay: Overlay::new([byte; 32]),
            metadata_uri: String::new(),
            stake: Xbzz::from_whole(100),
        };
        self.transact(wallet, addresses.token().approve_all(addresses.registry)).await;
        self.transact(wallet, addresses.registry().register(&registration)).await;
        self.transact(wallet, addresses.registry().update_offerings(offerings)).await;
        dev_key(wallet).address()
    }

    pub(crate) async fn heartbeat(&self, wallet: u32) {
        self.transact(wallet, self.market.addresses.registry().heartbeat()).await;
    }

    /// Posts a job and returns its id.
    pub(crate) async fn post(&self, provider: Address) -> JobId {
        let now = self.anvil.rpc().latest_block().await.unwrap().timestamp;
        let order = JobOrder {
            provider,
            request_hash: SwarmRef::new([9; 32]),
            model: "llama3:8b".parse().unwrap(),
            max_payment: PRICE,
            delivery_deadline: now.plus(900),
        };
        let receipt = self.transact(CLIENT, self.market.addresses.escrow().post_job(&order)).await;
        let posted = receipt.logs.iter().find_map(|log| events::decode(log, &self.market.addresses));
        let Some(ChainEvent::JobPosted { job, .. }) = posted else { panic!("{receipt:?}") };
        job
    }

    pub(crate) async fn claim(&self, wallet: u32, job: JobId) {
        let call = self.market.addresses.escrow().claim_job(job, SwarmRef::new([8; 32]), PRICE);
        self.transact(wallet, call).await;
    }
}

pub(crate) async fn candidates(watcher: &Arc<dyn RegistryWatcher>, model: &str) -> Vec<Candidate> {
    let wanted = ListCandidates { model: model.parse().unwrap(), max_combined_price: None, provider: None };
    watcher.ask(wanted).await.unwrap()
}

pub(crate) async fn addresses(watcher: &Arc<dyn RegistryWatcher>, model: &str) -> Vec<Address> {
    candidates(watcher, model).await.into_iter().map(|candidate| candidate.provider).collect()
}

/// A provider as the directory has it.
pub(crate) async fn listed(watcher: &Arc<dyn RegistryWatcher>, provider: Address) -> Option<ProviderListing> {
    let all = watcher.ask(ListProviders { provider: None }).await.unwrap();
    all.into_iter().find(|listing| listing.provider == provider)
}

pub(crate) async fn watch(
    watcher: &Arc<dyn RegistryWatcher>,
    wallet: Address,
    role: JobRole,
    since_block: Option<u64>,
) -> ItemStream<WatchJobs> {
    watcher.open(WatchJobs { wallet, role, since_block }).await.unwrap()
}

/// The next `count` events of a stream.
pub(crate) async fn next(events: &mut ItemStream<WatchJobs>, count: usize) -> Vec<JobEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let event = timeout(&SystemClock, LIMIT, events.next()).await;
        let event = event.unwrap_or_else(|_| panic!("of {count} events only these came: {taken:?}"));
        taken.push(event.expect("the stream goes on").unwrap());
    }
    taken
}

/// What happened, in a word, and to which job.
pub(crate) fn words(events: &[JobEvent]) -> Vec<(&'static str, JobId)> {
    let word = |what: &JobHappening| match what {
        JobHappening::Posted { .. } => "posted",
        JobHappening::Acked => "acked",
        JobHappening::Claimed { .. } => "claimed",
        JobHappening::Cancelled { .. } => "cancelled",
        JobHappening::TimedOut { .. } => "timed out",
        JobHappening::Reorganised => "reorganised",
    };
    events.iter().map(|event| (word(&event.what), event.job)).collect()
}
