//! The market that is used for long, and what goes wrong in it.

use anyhow::{Context, bail, ensure};
use t4t_bee_dev::{Faults, InjectedError};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::backend_proxy::{BackendFault, BackendProxy};
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{
    App, ECHO, Gateway, PATIENCE, Process, Provider, Question, RoleSpec, Scene, World, WorldConfig,
};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};
use url::Url;

use super::T4T;
use super::machine::Observed;

/// One in a hundred, of each kind of thing that can go wrong.
const RATE: f64 = 0.01;

/// Jobs that the provider works on at a time: one that hangs holds up no other.
const SLOTS: &str = "16";

/// Seconds between blocks.
const BLOCK_TIME: u64 = 1;

/// A gateway and a provider, with something that can go wrong before everything they stand on.
pub(crate) struct Market {
    scene: Scene,
    endpoints: [RpcProxy; 2],
    backend: BackendProxy,
}

impl Market {
    pub(crate) async fn start(seed: u64) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig::new(T4T)).await?;
        let ours = RpcProxy::start(world.anvil.rpc_url(), seed).await?;
        let theirs = RpcProxy::start(world.anvil.rpc_url(), seed + 1).await?;
        world.bee.faults().reseed(seed + 2);
        let scripted = ScriptedBackend::start(Behaviour::Good).await?;
        let backend = BackendProxy::start(&scripted.url(), seed + 3).await?;
        let (our_url, their_url) = (ours.url().to_string(), theirs.url().to_string());
        let variables = [("GNOSIS_RPC_URL", their_url.as_str()), ("T4T_MAX_CONCURRENT_JOBS", SLOTS)];
        let spec = RoleSpec::provider().with(&variables);
        let mut provider = Provider::start(&world, &spec, &backend.url())?;
        provider.started().await?;
        world.on_offer(&[provider.wallet]).await.with_context(|| provider.process.story())?;
        let variables = [("GNOSIS_RPC_URL", our_url.as_str()), ("T4T_DEFAULT_DEADLINE_SECONDS", "120")];
        let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
        gateway.offers(&world, ECHO).await?;
        world.anvil.set_block_time(Some(BLOCK_TIME)).await?;
        let scene = Scene { world, backend: scripted, provider, gateway };
        Ok(Self { scene, endpoints: [ours, theirs], backend })
    }

    /// Waits for a first answer.
    pub(crate) async fn warm_up(&mut self) -> anyhow::Result<()> {
        let question = Question::new(ECHO, "is all well?");
        eventually(PATIENCE, "an answer before anything goes wrong", async || {
            self.scene.ask(&question).await.ok()?.is_answer().then_some(())
        })
        .await
    }

    /// From now on one thing in a hundred goes wrong, in every way.
    pub(crate) fn go_wrong(&self) {
        let share = RATE / RpcFault::ALL.len() as f64;
        let faults = RpcFault::ALL.map(|fault| (fault, share));
        self.endpoints.iter().for_each(|endpoint| endpoint.mix(&faults));
        let failing = |status| Some(InjectedError { probability: RATE, status });
        self.scene.world.bee.faults().set(Faults {
            drop_messages: RATE,
            duplicate_messages: RATE,
            reorder_messages: RATE,
            upload_error: failing(500),
            download_error: failing(500),
            ..Faults::realistic()
        });
        let share = RATE / 4.0;
        self.backend.mix(&[
            (BackendFault::ServerError, share),
            (BackendFault::RateLimited, share),
            (BackendFault::Cut { after: 0 }, share),
            (BackendFault::Slow { by_ms: 200 }, share),
        ]);
    }

    pub(crate) fn heal(&self) {
        self.endpoints.iter().for_each(RpcProxy::heal);
        self.scene.world.bee.faults().set(Faults::realistic());
        self.backend.heal();
    }

    /// What went wrong, in numbers.
    pub(crate) fn faults(&self) -> u64 {
        let bee: u64 = self.scene.world.bee.faults().counts().values().sum();
        self.endpoints.iter().map(RpcProxy::injected).sum::<u64>() + self.backend.injected() + bee
    }

    /// Waits until all is over; how many jobs there were for so many requests.
    pub(crate) async fn closed(&self, asked: u64) -> anyhow::Result<usize> {
        self.scene.world.settled(2 * PATIENCE).await?;
        // Thousands of jobs take longer to read than a block lasts.
        self.scene.world.anvil.stop_mining().await?;
        let jobs = self.scene.ledger().closed(3 * PATIENCE).await?;
        if let Some(job) = jobs.iter().find(|job| !job.slashed.is_zero()) {
            bail!("stake was burned: {job:?}\n{}", self.story_of(job));
        }
        // One provider: whatever it refuses is offered to nobody else.
        ensure!(jobs.len() as u64 <= asked + 2, "{asked} requests and {} jobs", jobs.len());
        self.scene.world.keeps_its_keys()?;
        Ok(jobs.len())
    }

    /// What both processes said of a job and around its end.
    fn story_of(&self, job: &JobEntry) -> String {
        let name = job.job.to_string();
        let routing = job.request_hash.map(|hash| hash.routing_id().to_string()).unwrap_or_default();
        let both = [&self.scene.gateway.process, &self.scene.provider.process];
        let lines = both.iter().map(|process| {
            let log = process.whole_log();
            let about =
                |line: &&str| line.contains(&name) || (!routing.is_empty() && line.contains(&routing));
            log.lines().filter(about).map(str::to_owned).collect::<Vec<_>>().join("\n")
        });
        lines.collect::<Vec<_>>().join("\n--- provider ---\n")
    }

    pub(crate) fn app(&self) -> App {
        self.scene.world.app.clone()
    }

    pub(crate) async fn url(&mut self) -> anyhow::Result<Url> {
        self.scene.gateway.url().await
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.scene.gateway.process.is_alive() && self.scene.provider.process.is_alive()
    }

    pub(crate) async fn processes(&mut self) -> anyhow::Result<Vec<Observed>> {
        let urls = [self.scene.gateway.url().await?, self.scene.provider.url().await?];
        let both = [&self.scene.gateway.process, &self.scene.provider.process];
        let observed = |(process, url): (&Process, Url)| Observed {
            name: process.name().to_owned(),
            id: process.id(),
            url,
        };
        Ok(both.into_iter().zip(urls).map(observed).collect())
    }

    pub(crate) fn stories(&self) -> String {
        format!("{}\n{}", self.scene.gateway.process.story(), self.scene.provider.process.story())
    }
}
