//! A market of one gateway and three providers, each with a backend of its own.

use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::ledger::{JobEntry, Ledger};
use t4t_testkit::processes::{
    App, ECHO, Gateway, PATIENCE, Process, Provider, Question, RoleSpec, World, WorldConfig,
};
use url::Url;

use super::T4T;

/// Seconds between blocks once everything is on offer.
const BLOCK_TIME: u64 = 1;

/// What the log of a process says when a nonce went wrong.
const NONCE_TROUBLE: [&str; 4] = [
    "a node did not take a transaction",
    "another transaction used the nonce",
    "a transaction of another program is missing",
    "nonce too low",
];

/// How the providers are called and which wallet and node is theirs.
const PROVIDERS: [RoleSpec<'static>; 3] = [
    RoleSpec::provider(),
    RoleSpec::second_provider(),
    RoleSpec { name: "provider-3", wallet: 3, node: 3, variables: &[] },
];

/// How large the market is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Slots of each provider.
    pub(crate) slots: u64,
    /// Requests that the gateway takes at a time.
    pub(crate) requests: usize,
    /// How long an app waits for its answer.
    pub(crate) patience: Duration,
}

/// A gateway and three providers.
pub(crate) struct Market {
    pub(crate) world: World,
    pub(crate) app: App,
    pub(crate) url: Url,
    pub(crate) backends: Vec<ScriptedBackend>,
    providers: Vec<Provider>,
    gateway: Gateway,
    slots: u64,
}

impl Market {
    /// Opens a market; the gateway has bought once.
    pub(crate) async fn open(size: Size) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig::new(T4T)).await?;
        let slots = size.slots.to_string();
        let variables = [("T4T_MAX_CONCURRENT_JOBS", slots.as_str())];
        let (mut backends, mut providers) = (Vec::new(), Vec::new());
        for spec in PROVIDERS {
            let backend = ScriptedBackend::start(Behaviour::Good).await?;
            providers.push(Provider::start(&world, &spec.with(&variables), &backend.url())?);
            backends.push(backend);
        }
        for provider in &mut providers {
            provider.started().await?;
            world.on_offer(&[provider.wallet]).await.with_context(|| provider.process.story())?;
        }
        let (requests, wait) = (size.requests.to_string(), size.patience.as_secs().to_string());
        let variables = [
            ("T4T_MAX_CONCURRENT_REQUESTS", requests.as_str()),
            ("T4T_PROVIDER_WAIT_SECONDS", wait.as_str()),
        ];
        let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
        gateway.offers(&world, ECHO).await?;
        world.anvil.set_block_time(Some(BLOCK_TIME)).await?;
        let url = gateway.url().await?;
        let app = App::patient(size.patience)?;
        let market = Self { world, app, url, backends, providers, gateway, slots: size.slots };
        market.warm_up().await?;
        Ok(market)
    }

    /// Buys once, so that the gateway's approval is not part of what is measured.
    async fn warm_up(&self) -> anyhow::Result<()> {
        let question = Question::new(ECHO, "is all well?");
        eventually(PATIENCE, "an answer", async || {
            self.app.ask(&self.url, &question).await.ok()?.is_answer().then_some(())
        })
        .await?;
        self.closed().await.map(drop)
    }

    fn ledger(&self) -> Ledger {
        let ledger = self.world.ledger().buyer(self.gateway.wallet, &self.gateway.database);
        self.providers
            .iter()
            .fold(ledger, |ledger, provider| ledger.seller(provider.wallet, &provider.database))
    }

    /// Waits until all jobs are over, checks the books, and that no key left its file.
    pub(crate) async fn closed(&self) -> anyhow::Result<Vec<JobEntry>> {
        let jobs = self.ledger().closed(PATIENCE * 2).await?;
        self.world.keeps_its_keys()?;
        Ok(jobs)
    }

    /// Requests that the backends work on now.
    pub(crate) fn under_way(&self) -> u64 {
        self.backends.iter().map(ScriptedBackend::open_calls).sum()
    }

    /// Requests that came to the backends.
    pub(crate) fn calls(&self) -> u64 {
        self.backends.iter().map(ScriptedBackend::calls).sum()
    }

    /// Checks that no backend ever had more to do than its provider's slots.
    pub(crate) fn is_never_overbooked(&self) -> anyhow::Result<u64> {
        let peaks = self.backends.iter().map(ScriptedBackend::peak_calls);
        let peak = peaks.max().unwrap_or_default();
        ensure!(peak <= self.slots, "{peak} at a time, {} slots", self.slots);
        Ok(peak)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.providers.iter().map(|provider| &provider.process).chain([&self.gateway.process])
    }

    /// Checks that no process had trouble with a nonce, and that nothing that was sent is still to be mined.
    pub(crate) async fn has_no_nonce_trouble(&self) -> anyhow::Result<()> {
        for process in self.processes() {
            let log = process.whole_log();
            let trouble = log.lines().find(|line| NONCE_TROUBLE.iter().any(|trouble| line.contains(trouble)));
            ensure!(trouble.is_none(), "{}: {}", process.name(), trouble.unwrap_or_default());
        }
        let wallets = self.providers.iter().map(|provider| provider.wallet).chain([self.gateway.wallet]);
        for wallet in wallets {
            let rpc = self.world.anvil.rpc();
            let mined = rpc.transaction_count(wallet, t4t_chain::BlockTag::Latest).await?;
            let sent = rpc.transaction_count(wallet, t4t_chain::BlockTag::Pending).await?;
            ensure!(mined == sent, "{wallet} sent {sent} transactions, {mined} are mined");
        }
        Ok(())
    }

    /// What all processes said.
    pub(crate) fn story(&self) -> String {
        self.processes().map(Process::story).collect::<Vec<_>>().join("\n")
    }
}
