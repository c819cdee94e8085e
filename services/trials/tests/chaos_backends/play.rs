//! One play: a request to a backend that goes wrong, then one to the same backend in order.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_testkit::backend::Behaviour;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, PATIENCE, Question, Reply, RoleSpec, Scene, SceneSpec};
use t4t_types::{JobId, TokenUsage, Xbzz};

use super::T4T;
use super::fault::{End, Play};
use super::memory::{MIB, Watched};
use super::recount;

/// How long the provider bears with a silent backend. A busy machine is silent for a moment, too.
const BACKEND_PATIENCE: Duration = Duration::from_secs(3);

/// The same as the setting has it.
const BACKEND_PATIENCE_SECONDS: &str = "3";

/// How long after the backend's time limit the slot may still be taken.
const RELEASE: Duration = Duration::from_secs(1);

/// By how much the provider may grow over one answer.
const MOST_GROWTH: u64 = 50 * MIB;

/// A provider with one slot and little patience, which says when its slot is free.
const PROVIDER: &[(&str, &str)] = &[
    ("T4T_MAX_CONCURRENT_JOBS", "1"),
    ("T4T_BACKEND_FIRST_TOKEN_SECONDS", BACKEND_PATIENCE_SECONDS),
    ("T4T_BACKEND_IDLE_SECONDS", BACKEND_PATIENCE_SECONDS),
    ("LOG_LEVEL", "info,t4t_job_dispatcher=debug,t4t_settlement=debug,t4t_inference_runner=debug"),
];

/// What plays found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) answered: u32,
    pub(crate) refunded: u32,
    /// How long after the backend's time limit a slot was free, at worst.
    pub(crate) slot_late_ms: u64,
    /// By how many bytes the provider grew, at worst.
    pub(crate) grown: u64,
}

impl Found {
    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.refunded += other.refunded;
        self.slot_late_ms = self.slot_late_ms.max(other.slot_late_ms);
        self.grown = self.grown.max(other.grown);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.answered > 0 { "answered" } else { "refunded" };
        let mib = self.grown as f64 / MIB as f64;
        write!(f, "{end}, slot {} ms late, grew by {mib:.1} MiB", self.slot_late_ms)
    }
}

/// A scene for plays.
pub(crate) async fn scene() -> anyhow::Result<Scene> {
    let provider = RoleSpec::provider().with(PROVIDER);
    let mut scene = Scene::start(SceneSpec { provider, ..SceneSpec::new(T4T) }).await?;
    // What a first answer allocates for good is not counted.
    let question = Question::new(ECHO, "is all well?");
    eventually(PATIENCE, "an answer before anything goes wrong", async || {
        scene.ask(&question).await.ok()?.is_answer().then_some(())
    })
    .await?;
    scene.closed().await?;
    Ok(scene)
}

/// Plays.
pub(crate) async fn play(scene: &mut Scene, play: &Play) -> anyhow::Result<Found> {
    let before = scene.ledger().jobs().await?.len();
    let memory = Watched::begin(scene.provider.process.id())?;
    let text = play.text();
    let mut question = Question::new(ECHO, &text);
    question.stream = play.is_streamed;

    scene.backend.set_whole(play.is_whole);
    scene.backend.set(play.behaviour());
    let reply = scene.ask(&question).await?;
    let request = scene.backend.last_request().context("no backend was asked")?;
    scene.backend.set(Behaviour::Good);
    scene.backend.set_whole(false);
    let next = scene.ask(&question).await?;
    ensure!(next.answer()? == format!("{text} "), "the next request got {}", next.body);

    let grown = memory.growth()?;
    let jobs = scene.closed().await?;
    scene.world.keeps_its_keys()?;
    let [wrong, right] = &jobs[before..] else { anyhow::bail!("not two jobs: {:?}", &jobs[before..]) };
    ensure!(jobs[before..].iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    let prices = recount::prices(scene).await?;
    let words = text.split_whitespace().count() as u64;
    let honest = prices.cost(TokenUsage { prompt: words, completion: words });
    ensure!(Some(right.paid) == honest, "the honest answer cost {}, not {honest:?}", right.paid);

    let own_count = recount::price(&prices, &request, play.is_whole)?;
    let is_answered = judge(play, &text, &reply, wrong, own_count)?;
    ensure!(grown <= MOST_GROWTH, "the provider grew by {grown} bytes");
    let slot_late_ms = slot_late_ms(scene, wrong.job, play.fault.is_silence()).await?;
    let (answered, refunded) = (u32::from(is_answered), u32::from(!is_answered));
    Ok(Found { answered, refunded, slot_late_ms, grown })
}

/// Checks how the request ended and what was paid for it; whether it was answered.
fn judge(play: &Play, text: &str, reply: &Reply, job: &JobEntry, own_count: Xbzz) -> anyhow::Result<bool> {
    ensure!(
        job.paid <= own_count && job.paid <= job.max_payment,
        "{} was claimed, {own_count} is what came, {} in escrow",
        job.paid,
        job.max_payment
    );
    let is_answered = reply.is_answer();
    match play.end() {
        End::Answer => ensure!(is_answered, "no answer: {}", reply.body),
        End::CutAnswer => {
            ensure!(is_answered && reply.content.starts_with("and and "), "not cut: {}", reply.body);
        }
        End::Refund => ensure!(!is_answered, "an answer: {}", reply.body),
        End::Any => {}
    }
    if !is_answered {
        ensure!(reply.is_clean_error(), "neither answer nor clean error: {}", reply.body);
        ensure!(job.paid.is_zero(), "{} was paid for an error", job.paid);
        return Ok(false);
    }
    ensure!(job.paid > Xbzz::ZERO, "an answer was not paid for");
    if play.end() != End::CutAnswer {
        ensure!(reply.content == format!("{text} "), "another answer: {}", reply.body);
    }
    Ok(true)
}

/// How long after the backend's time limit the job's slot was free. A slot that was needed for less counts as zero.
async fn slot_late_ms(scene: &Scene, job: JobId, is_silence: bool) -> anyhow::Result<u64> {
    let name = job.to_string();
    let held_ms = eventually(PATIENCE, "a free slot", async || {
        let log = scene.provider.process.log();
        let mut told = log.lines().filter(|line| line.contains("a slot is free again"));
        let line = told.find(|line| line.contains(&name))?;
        let (_, number) = line.split_once("held_ms=")?;
        number.split_whitespace().next()?.parse::<u64>().ok()
    })
    .await?;
    let patience_ms = BACKEND_PATIENCE.as_millis() as u64;
    ensure!(!is_silence || held_ms >= patience_ms, "a silent backend was left after {held_ms} ms");
    let late_ms = held_ms.saturating_sub(patience_ms);
    ensure!(
        u128::from(late_ms) <= RELEASE.as_millis(),
        "the slot was free {late_ms} ms after the time limit"
    );
    Ok(late_ms)
}
