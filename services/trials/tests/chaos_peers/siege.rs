//! A market that is attacked again and again, and what has to hold after every attack.

use anyhow::{Context, ensure};
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, PATIENCE, Process, Question, RoleSpec, Scene, SceneSpec};
use t4t_testkit::{eventually, eventually_equals};
use t4t_types::JobStatus;

use super::T4T;
use super::stranger::Stranger;
use super::vitals::{Look, Watched, memory_kib};

/// Memory that an attack may cost a process, in KiB.
const MEMORY_LIMIT_KIB: u64 = 50 * 1024;

/// What the log says when a process fails in a way that it should not.
const PANICS: [&str; 2] = ["panicked", "failed in a way that it should not"];

/// A market under attack.
#[derive(Debug)]
pub(crate) struct Siege {
    pub(crate) scene: Scene,
    /// A client with real money and nobody's rules.
    pub(crate) stranger: Stranger,
    /// Another one.
    pub(crate) victim: Stranger,
    provider: Vital,
    gateway: Vital,
    asked: u32,
    rogues: u32,
    /// The most memory that any attack cost a process so far, in KiB.
    pub(crate) growth_kib: u64,
}

/// A process's memory before the attacks, and since.
#[derive(Debug)]
struct Vital {
    watched: Watched,
    before_kib: u64,
}

impl Vital {
    fn of(process: &Process) -> Self {
        Self { watched: Watched::begin(process.id(), Look::Memory), before_kib: memory_kib(process.id()) }
    }

    fn take_growth_kib(&self) -> u64 {
        self.watched.take_peak_kib().saturating_sub(self.before_kib)
    }
}

impl Siege {
    /// A market that makes a block for each transaction, with its two strangers.
    pub(crate) async fn begin(gateway: &[(&str, &str)], provider: &[(&str, &str)]) -> anyhow::Result<Self> {
        let gateway = RoleSpec::gateway().with(gateway);
        let provider = RoleSpec::provider().with(provider);
        let mut scene = Scene::start(SceneSpec { gateway, provider, ..SceneSpec::new(T4T) }).await?;
        scene.world.anvil.set_block_time(None).await?;
        let stranger = Stranger::new(&scene.world, 3).await?;
        let victim = Stranger::new(&scene.world, 4).await?;
        // What a process needs for its ordinary work is not the attackers' doing.
        for text in ["warm", "up"] {
            scene.ask(&Question::new(ECHO, text)).await?.answer()?;
        }
        let (provider, gateway) = (Vital::of(&scene.provider.process), Vital::of(&scene.gateway.process));
        Ok(Self { scene, stranger, victim, provider, gateway, asked: 0, rogues: 0, growth_kib: 0 })
    }

    /// An honest question that nobody asked before, and its answer.
    pub(crate) fn question(&mut self) -> String {
        self.asked += 1;
        format!("honest question {}", self.asked)
    }

    /// The number of a rogue that nobody knows yet.
    pub(crate) fn next_rogue(&mut self) -> u32 {
        self.rogues += 1;
        self.rogues
    }

    /// Asks an honest question; it must be answered.
    pub(crate) async fn ask_honestly(&mut self) -> anyhow::Result<()> {
        let text = self.question();
        let reply = self.scene.ask(&Question::new(ECHO, &text)).await?;
        ensure!(reply.answer()?.trim() == text, "another answer: {}", reply.body);
        Ok(())
    }

    /// Ends the provider as `kill -9` does and starts it again.
    pub(crate) async fn restart_provider(&mut self) -> anyhow::Result<()> {
        self.scene.provider.process.restart(&[])?;
        self.scene.provider.started().await?;
        self.provider = Vital::of(&self.scene.provider.process);
        Ok(())
    }

    /// The same with the gateway.
    pub(crate) async fn restart_gateway(&mut self) -> anyhow::Result<()> {
        self.scene.gateway.process.restart(&[])?;
        self.scene.gateway.offers(&self.scene.world, ECHO).await?;
        self.gateway = Vital::of(&self.scene.gateway.process);
        Ok(())
    }

    /// After an attack: both live, neither has grown, the backend worked for nobody who had not paid, the honest are
    /// served and the books are right.
    pub(crate) async fn survived(&mut self) -> anyhow::Result<()> {
        self.ask_honestly().await.context("the honest are not served")?;
        for process in [&mut self.scene.provider.process, &mut self.scene.gateway.process] {
            ensure!(process.is_alive(), "{} has ended", process.name());
            let log = process.log();
            ensure!(!PANICS.iter().any(|text| log.contains(text)), "{} failed", process.name());
        }
        let grown =
            [("provider", self.provider.take_growth_kib()), ("gateway", self.gateway.take_growth_kib())];
        for (name, kib) in grown {
            ensure!(kib < MEMORY_LIMIT_KIB, "the {name} grew by {} MiB", kib / 1024);
            self.growth_kib = self.growth_kib.max(kib);
        }
        self.scene.ledger().check().await?;
        let backend = &self.scene.backend;
        let world = &self.scene.world;
        let provider = self.scene.provider.wallet;
        eventually(PATIENCE, "claims for all that the backend did", async || {
            let jobs = world.ledger().jobs().await.ok()?;
            (paid_to(&jobs, provider) >= backend.calls()).then_some(())
        })
        .await?;
        let jobs = world.ledger().jobs().await?;
        let (paid, calls) = (paid_to(&jobs, provider), backend.calls());
        ensure!(paid == calls, "{calls} backend calls for {paid} paid jobs");
        // A chain on which nothing happens would look like one that has stopped.
        world.anvil.mine(1).await
    }

    /// After all attacks: every job is over, nothing was burned, nothing is open, and no key left its file.
    pub(crate) async fn end(&mut self) -> anyhow::Result<Vec<JobEntry>> {
        // Deadlines that only time brings.
        let jobs = self.scene.closed().await?;
        self.scene.world.keeps_its_keys()?;
        let registry = self.scene.world.market.addresses.registry();
        let provider = self.scene.provider.wallet;
        let burned = jobs.iter().filter(|job| job.provider == provider && !job.slashed.is_zero()).count();
        ensure!(burned == 0, "stake was burned: {jobs:?}");
        eventually_equals(PATIENCE, "the provider's open jobs", Some(0), async || {
            registry.open_jobs(self.scene.world.anvil.rpc(), provider).await.ok()
        })
        .await?;
        Ok(jobs)
    }
}

fn paid_to(jobs: &[JobEntry], provider: t4t_types::Address) -> u64 {
    let paid =
        |job: &&JobEntry| job.provider == provider && job.status == JobStatus::Claimed && !job.paid.is_zero();
    jobs.iter().filter(paid).count() as u64
}
