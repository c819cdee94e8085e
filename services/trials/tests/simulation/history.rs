//! One history: a market that is disturbed as a seed says, then left in peace until everything is over, then checked.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use evm::uint::{H160, U256};
use t4t_chain::deploy;
use t4t_chain::{ContractAddresses, Fees, Rpc, RpcConfig, TransactionRequest};
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_testkit::ledger::{JobEntry, Ledger};
use t4t_types::{Address, Xbzz, keccak256};
use tempfile::TempDir;

use super::backend::Runs;
use super::chain::{BASE_FEE, Chain};
use super::evm::State;
use super::machine::{App, Apps, Body, Machine, Role, Told};
use super::network::{Direct, Surroundings, Swarm, Trace, Weather, lock};
use super::timeline::{MachineClock, Timeline};

const CHAIN_ID: u64 = 100;

/// When every history begins, in seconds since 1970.
const BEGINNING: u64 = 1_800_000_000;

/// For how long things go wrong.
const TROUBLE: Duration = Duration::from_secs(120);

/// By when everything has to be over: deadlines of two minutes, twice, and what comes after them.
const PEACE: Duration = Duration::from_secs(1800);

/// How often it is looked whether everything is over.
const LOOK_EVERY: Duration = Duration::from_secs(5);

const GATEWAY: usize = 0;

/// A provider that is cut off from its chain for this long, or a chain that stands still for it, may cost it stake: it
/// has 30 s to acknowledge a job.
const OUTAGE_MS: u64 = 15_000;

/// What a history came to.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) answered: usize,
    pub(crate) errors: usize,
    pub(crate) jobs: usize,
    pub(crate) paid: usize,
    pub(crate) slashed: usize,
    pub(crate) deaths: u32,
    pub(crate) reorgs: u32,
    pub(crate) seconds: u64,
    pub(crate) trace: u64,
}

/// A market as it is before its first request: all providers on offer.
#[derive(Clone, Debug)]
struct Beginning {
    chain: Chain,
    contracts: ContractAddresses,
    databases: Arc<Vec<Vec<u8>>>,
    at_ms: u64,
}

/// Something that happens to the world from outside.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill(usize),
    Start(usize),
    Skew(usize, i64),
    Rpc(usize, u64),
    Swarm(usize, u64),
    Backend(usize, u64),
    Reorganise(u64, bool),
    Drop,
    Stall(u64),
    Fees(u128),
    ForeignNonce(usize),
    Calm,
}

impl Blow {
    /// Whether it may make a provider late, whatever it does: it can't reach the chain, or the chain forgets what it sent.
    const fn may_burn(&self) -> bool {
        match self {
            Self::Rpc(machine, ms) => *machine != GATEWAY && *ms >= OUTAGE_MS,
            Self::Stall(ms) => *ms >= OUTAGE_MS,
            Self::Reorganise(_, forgets) => *forgets,
            Self::Drop => true,
            _ => false,
        }
    }
}

struct World {
    timeline: Timeline,
    chain: Arc<Mutex<Chain>>,
    machines: Vec<Machine>,
    apps: Apps,
    runs: Vec<Runs>,
    blows: Arc<Mutex<Vec<Blow>>>,
    stalled_until_ms: Arc<Mutex<u64>>,
    trace: Arc<Mutex<Trace>>,
    contracts: ContractAddresses,
    _folder: TempDir,
    deaths: u32,
    reorgs: u32,
    is_calm: bool,
    /// Whether something happened that may make a provider late, whatever it does.
    may_burn: bool,
}

/// Plays the history of a seed.
///
/// # Errors
/// Something did not hold; the error tells what happened to the world, and the books.
pub(crate) fn play(seed: u64) -> anyhow::Result<End> {
    let block_seconds = if seed.is_multiple_of(2) { 5 } else { 1 };
    let beginning = beginning(block_seconds)?;
    let mut world = World::new(&beginning, seed, block_seconds)?;
    let end = world.play(&beginning);
    end.map_err(|error| {
        let story = lock(&world.trace).lines.join("\n");
        error.context(story)
    })
}

/// The market before the first request, made once for each pace of blocks.
fn beginning(block_seconds: u64) -> anyhow::Result<Beginning> {
    static MADE: [OnceLock<Beginning>; 2] = [OnceLock::new(), OnceLock::new()];
    let slot = &MADE[usize::from(block_seconds == 1)];
    if let Some(made) = slot.get() {
        return Ok(made.clone());
    }
    let made = make_beginning(block_seconds)?;
    Ok(slot.get_or_init(|| made).clone())
}

fn make_beginning(block_seconds: u64) -> anyhow::Result<Beginning> {
    let (chain, contracts) = deployed()?;
    let databases = Arc::new(vec![Vec::new(); NAMES.len()]);
    let bare = Beginning { chain, contracts, databases, at_ms: BEGINNING * 1000 };
    let mut world = World::new(&bare, 0, block_seconds)?;
    world.start_all()?;
    let ends = bare.at_ms + 300_000;
    while world.timeline.now_ms() < ends && !world.is_on_offer()? {
        world.run_for(Duration::from_secs(1))?;
    }
    ensure!(world.is_on_offer()?, "the providers never came on offer");
    world.run_for(Duration::from_secs(90))?;
    world.machines.iter_mut().for_each(Machine::kill);
    let databases = world.machines.iter().map(|machine| whole_database(&machine.body.database));
    let databases = Arc::new(databases.collect::<anyhow::Result<Vec<_>>>()?);
    let chain = lock(&world.chain).clone();
    Ok(Beginning { chain, contracts, databases, at_ms: world.timeline.now_ms() })
}

/// A database with all that its log holds, as one file.
fn whole_database(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = t4t_store::Store::open(path).await?;
        store.close().await;
        anyhow::Ok(())
    })?;
    Ok(std::fs::read(path)?)
}

const NAMES: [&str; 3] = ["gateway", "provider", "other provider"];

fn seed_of(name: &str) -> [u8; 32] {
    keccak256(format!("simulated {name}"))
}

fn wallet_of(name: &str) -> WalletKey {
    WalletKey::from_bytes(&seed_of(name)).expect("a hash is a key")
}

/// The contracts on a chain, and wallets with money.
fn deployed() -> anyhow::Result<(Chain, ContractAddresses)> {
    let owner = wallet_of("owner");
    let mut state = State::default();
    let ether = U256::from(10).pow(18.into());
    for key in NAMES.map(wallet_of).iter().chain([&owner]) {
        state.give(H160(*key.address().as_bytes()), ether * 100);
    }
    let chain = Arc::new(Mutex::new(Chain::new(CHAIN_ID, state, BEGINNING - 1000)));
    let rpc = Rpc::over(Arc::new(AtOnce(Arc::clone(&chain))), endpoint()?, SystemClock::shared())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let contracts = runtime.block_on(async {
        let contracts = deploy::deploy_market(&rpc, &owner).await?;
        for key in NAMES.map(wallet_of) {
            let mint = contracts.token().mint(key.address(), Xbzz::from_whole(10_000));
            deploy::transact(&rpc, &owner, &mint).await?;
        }
        anyhow::Ok(contracts)
    })?;
    let mut chain = lock(&chain).clone();
    chain.mine(BEGINNING, |_| true);
    Ok((chain, contracts))
}

fn endpoint() -> anyhow::Result<RpcConfig> {
    Ok(RpcConfig::new(["http://chain.invalid/".parse()?]))
}

/// A node that makes a block for each transaction.
#[derive(Debug)]
struct AtOnce(Arc<Mutex<Chain>>);

#[async_trait::async_trait]
impl t4t_chain::Transport for AtOnce {
    async fn post(&self, url: &url::Url, body: Vec<u8>, max: usize) -> t4t_chain::Reply {
        let reply = Direct(Arc::clone(&self.0)).post(url, body, max).await;
        let mut chain = lock(&self.0);
        let next = chain.head().timestamp + 1;
        chain.mine(next, |_| true);
        reply
    }
}

impl World {
    fn new(beginning: &Beginning, seed: u64, block_seconds: u64) -> anyhow::Result<Self> {
        let timeline = Timeline::new(beginning.at_ms, seed);
        let chain = Arc::new(Mutex::new(beginning.chain.clone()));
        let folder = if PathBuf::from("/dev/shm").is_dir() {
            tempfile::Builder::new().prefix("t4t-simulation").tempdir_in("/dev/shm")?
        } else {
            tempfile::tempdir()?
        };
        let trace = Arc::new(Mutex::new(Trace::default()));
        let (swarm, apps) = (Arc::new(Swarm::default()), Apps::default());
        let mut runs = Vec::new();
        let mut machines = Vec::new();
        for (number, name) in NAMES.into_iter().enumerate() {
            let role = if number == GATEWAY {
                Role::Gateway { apps: Arc::clone(&apps) }
            } else {
                let of_provider = Runs::default();
                runs.push(Arc::clone(&of_provider));
                Role::Provider { runs: of_provider }
            };
            let database = folder.path().join(name).join("t4t.db");
            std::fs::create_dir_all(database.parent().context("a folder")?)?;
            if !beginning.databases[number].is_empty() {
                std::fs::write(&database, &beginning.databases[number])?;
            }
            let around = Arc::new(Surroundings {
                timeline: timeline.clone(),
                weather: Mutex::default(),
                dies: Mutex::default(),
                trace: Arc::clone(&trace),
                name,
            });
            machines.push(Machine::new(Body {
                role,
                wallet_seed: seed_of(name),
                database,
                clock: MachineClock::new(&timeline),
                around,
                chain: Arc::clone(&chain),
                swarm: Arc::clone(&swarm),
                contracts: beginning.contracts,
                delivery_seconds: 120,
            }));
        }
        let stalled_until_ms = Arc::new(Mutex::new(0));
        make_blocks(&timeline, &chain, &stalled_until_ms, block_seconds);
        Ok(Self {
            timeline,
            chain,
            machines,
            apps,
            runs,
            blows: Arc::default(),
            stalled_until_ms,
            trace,
            contracts: beginning.contracts,
            _folder: folder,
            deaths: 0,
            reorgs: 0,
            is_calm: false,
            may_burn: false,
        })
    }

    fn play(&mut self, beginning: &Beginning) -> anyhow::Result<End> {
        self.write_the_story();
        self.start_all()?;
        self.run_for(TROUBLE)?;
        let ends = self.timeline.now_ms() + u64::try_from(PEACE.as_millis())?;
        loop {
            self.run_for(LOOK_EVERY)?;
            let is_told = lock(&self.apps).iter().all(|app| app.told.is_some());
            if self.is_calm && is_told && self.ledger()?.is_ok() {
                return self.end(beginning);
            }
            if self.timeline.now_ms() > ends {
                let untold: Vec<App> =
                    lock(&self.apps).iter().filter(|app| app.told.is_none()).cloned().collect();
                ensure!(untold.is_empty(), "apps were never told: {untold:?}\n{}", self.table());
                self.ledger()??;
                anyhow::bail!("it is not over");
            }
        }
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        self.machines.iter_mut().try_for_each(Machine::start)?;
        self.settle()
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        self.machines.iter().try_for_each(Machine::settle)
    }

    /// Lets things happen for so long.
    fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let stop = Arc::new(Mutex::new(false));
        let stops = Arc::clone(&stop);
        self.timeline.later(time, move || *lock(&stops) = true);
        while !*lock(&stop) {
            ensure!(self.timeline.step(), "nothing happens any more");
            self.settle()?;
            self.take_blows()?;
        }
        Ok(())
    }

    fn take_blows(&mut self) -> anyhow::Result<()> {
        for number in 0..self.machines.len() {
            let dies = std::mem::take(&mut *lock(&self.machines[number].body.around.dies));
            if dies && self.machines[number].is_on() {
                self.kill(number);
            }
        }
        loop {
            let Some(blow) = ({ lock(&self.blows).pop() }) else { return Ok(()) };
            self.take(blow)?;
        }
    }

    fn kill(&mut self, number: usize) {
        self.machines[number].kill();
        self.deaths += 1;
        let wait = Duration::from_millis(500 + self.timeline.throw(6000));
        self.blow_after(wait, Blow::Start(number));
    }

    fn blow_after(&self, wait: Duration, blow: Blow) {
        let blows = Arc::clone(&self.blows);
        self.timeline.later(wait, move || lock(&blows).push(blow));
    }

    fn take(&mut self, blow: Blow) -> anyhow::Result<()> {
        lock(&self.trace).tell(self.timeline.now_ms(), "world", &format!("{blow:?}"));
        let now_ms = self.timeline.now_ms();
        self.may_burn |= blow.may_burn();
        let body = |number: usize| &self.machines[number].body;
        match blow {
            Blow::Kill(number) if self.machines[number].is_on() => self.kill(number),
            Blow::Start(number) if !self.machines[number].is_on() => {
                self.machines[number].start()?;
                self.machines[number].settle()?;
            }
            Blow::Kill(_) | Blow::Start(_) => {}
            Blow::Skew(number, millis) => body(number).clock.skew(millis),
            Blow::Rpc(number, ms) => lock(&body(number).around.weather).rpc_down_until_ms = now_ms + ms,
            Blow::Swarm(number, ms) => lock(&body(number).around.weather).swarm_down_until_ms = now_ms + ms,
            Blow::Backend(number, ms) => {
                lock(&body(number).around.weather).backend_down_until_ms = now_ms + ms;
            }
            Blow::Reorganise(depth, forgets) => {
                self.reorgs += 1;
                lock(&self.chain).reorganise(depth, forgets);
            }
            Blow::Drop => {
                lock(&self.chain).drop_waiting(|_| true);
            }
            Blow::Stall(ms) => *lock(&self.stalled_until_ms) = now_ms + ms,
            Blow::Fees(base_fee) => lock(&self.chain).fee_target = base_fee,
            Blow::ForeignNonce(number) => self.use_nonce(number),
            Blow::Calm => self.calm(),
        }
        Ok(())
    }

    /// Somebody else sends a transaction with a machine's key.
    fn use_nonce(&self, number: usize) {
        let body = &self.machines[number].body;
        let key = body.key();
        let mut chain = lock(&self.chain);
        let from = H160(*key.address().as_bytes());
        let nonce = chain.state().account(from).nonce;
        let fees = Fees { max_fee: 400_000_000_000, max_priority: 3_000_000_000 };
        let request = TransactionRequest {
            chain_id: CHAIN_ID,
            nonce,
            to: Some(Address::ZERO),
            data: Vec::new(),
            value: 0,
            gas_limit: 21_000,
            fees,
        };
        // Not taken where ours waits at that nonce with as high a fee.
        let taken = chain.send(request.sign(&key).bytes);
        lock(&self.trace).tell(self.timeline.now_ms(), "world", &format!("foreign transaction: {taken:?}"));
    }

    fn calm(&mut self) {
        self.is_calm = true;
        lock(&self.chain).fee_target = BASE_FEE;
        for machine in &self.machines {
            *lock(&machine.body.around.weather) = Weather::default();
            machine.body.clock.skew(0);
        }
    }

    fn is_on_offer(&self) -> anyhow::Result<bool> {
        let rpc = self.books()?;
        let registry = self.contracts.registry();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            for name in &NAMES[1..] {
                let provider = wallet_of(name).address();
                let offers = registry.offerings(&rpc, provider).await.unwrap_or_default();
                if offers.is_empty() || registry.provider(&rpc, provider).await?.max_concurrent_jobs == 0 {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn books(&self) -> anyhow::Result<Rpc> {
        Ok(Rpc::over(Arc::new(Direct(Arc::clone(&self.chain))), endpoint()?, SystemClock::shared())?)
    }

    /// The books, if they are closed and exact.
    fn ledger(&self) -> anyhow::Result<anyhow::Result<Vec<JobEntry>>> {
        let mut ledger = Ledger::new(self.books()?, self.contracts);
        for (number, machine) in self.machines.iter().enumerate() {
            let (wallet, database) = (machine.body.wallet(), &machine.body.database);
            ledger = if number == GATEWAY {
                ledger.buyer(wallet, database)
            } else {
                ledger.seller(wallet, database)
            };
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime
            .block_on(async { Box::pin(ledger.closed(Duration::ZERO)).await.map_err(anyhow::Error::from) }))
    }

    fn table(&self) -> String {
        match self.ledger() {
            Ok(Ok(jobs)) => format!("{jobs:#?}"),
            Ok(Err(error)) | Err(error) => format!("{error:#}"),
        }
    }

    fn end(&self, beginning: &Beginning) -> anyhow::Result<End> {
        let jobs = self.ledger()??;
        let apps = lock(&self.apps).clone();
        let mut wrong = String::new();
        for app in &apps {
            match &app.told {
                Some(Told::Answer(text)) if *text != app.text => {
                    writeln!(wrong, "{:?} was answered with {text:?}", app.text)?;
                }
                _ => {}
            }
        }
        for runs in &self.runs {
            for (job, (begun, ended)) in lock(runs).iter() {
                // Once more for each death at most, and never after an answer that was stored.
                if *ended > 1 + self.deaths || *begun > 3 * (1 + self.deaths) {
                    writeln!(wrong, "job {job} was run {begun} times, {ended} times to its end")?;
                }
            }
        }
        let paid = jobs.iter().filter(|job| !job.paid.is_zero()).count();
        let answered = apps.iter().filter(|app| matches!(app.told, Some(Told::Answer(_)))).count();
        let slashed = jobs.iter().filter(|job| !job.slashed.is_zero()).count();
        if !self.may_burn && slashed > 0 {
            writeln!(wrong, "stake of {slashed} jobs was burned without need")?;
        }
        // A reorganisation that forgets what it took back can last beyond a job's deadline: answered and not paid.
        if self.reorgs == 0 && paid + slashed < answered {
            writeln!(wrong, "{answered} answers and {paid} payments")?;
        }
        ensure!(wrong.is_empty(), "{wrong}\n{}", self.table());
        let trace = lock(&self.trace);
        Ok(End {
            answered,
            errors: apps.len() - answered,
            jobs: jobs.len(),
            paid,
            slashed,
            deaths: self.deaths,
            reorgs: self.reorgs,
            seconds: (self.timeline.now_ms() - beginning.at_ms) / 1000,
            trace: trace.hash,
        })
    }

    /// Writes down what will happen to the world, as the dice say.
    fn write_the_story(&self) {
        let throw = |sides| self.timeline.throw(sides);
        let when = || Duration::from_millis(2000 + throw(100_000));
        let now_ms = self.timeline.now_ms();
        for number in 0..1 + throw(4) {
            let asks_at_ms = now_ms + 1000 + throw(60_000);
            let text = format!("question {number}");
            lock(&self.apps).push(App { asks_at_ms, text, told: None, last_error: None });
        }
        for machine in &self.machines {
            let mut weather = lock(&machine.body.around.weather);
            if throw(2) == 0 {
                weather.rpc_trouble = throw(250);
                weather.rpc_lag = if throw(3) == 0 { throw(4) } else { 0 };
            }
            if throw(2) == 0 {
                weather.swarm_trouble = throw(300);
                weather.messages_lost = throw(1001);
                weather.messages_doubled = throw(500);
                weather.messages_late = throw(500);
            }
            weather.backend_trouble = if throw(2) == 0 { throw(500) } else { 0 };
            weather.dies_at_effect = if throw(2) == 0 { 1 + throw(20) } else { 0 };
        }
        let machine = || usize::try_from(throw(NAMES.len() as u64)).unwrap_or_default();
        for _ in 0..throw(6) {
            let blow = match throw(12) {
                0 | 1 => Blow::Kill(machine()),
                2 => Blow::Skew(machine(), i64::try_from(throw(240_000)).unwrap_or_default() - 120_000),
                3 => Blow::Rpc(machine(), throw(40_000)),
                4 => Blow::Swarm(machine(), throw(60_000)),
                5 => Blow::Backend(machine(), throw(60_000)),
                6 | 7 => Blow::Reorganise(1 + throw(5), throw(2) == 0),
                8 => Blow::Drop,
                9 => Blow::Stall(throw(30_000)),
                10 => Blow::Fees(BASE_FEE * (1 + u128::from(throw(30)))),
                _ => Blow::ForeignNonce(machine()),
            };
            self.blow_after(when(), blow);
        }
        self.blow_after(TROUBLE - Duration::from_secs(1), Blow::Calm);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.machines.iter_mut().for_each(Machine::kill);
        self.timeline.end();
    }
}

/// Lets blocks come for ever.
fn make_blocks(
    timeline: &Timeline,
    chain: &Arc<Mutex<Chain>>,
    stalled_until_ms: &Arc<Mutex<u64>>,
    seconds: u64,
) {
    let (next, chain, stalled) = (timeline.clone(), Arc::clone(chain), Arc::clone(stalled_until_ms));
    timeline.later(Duration::from_secs(seconds), move || {
        let now_ms = next.now_ms();
        if *lock(&stalled) <= now_ms {
            // Now and then one that waits is passed over.
            let dice = next.clone();
            lock(&chain).mine(now_ms / 1000, |_| !dice.permille(50));
        }
        make_blocks(&next, &chain, &stalled, seconds);
    });
}
