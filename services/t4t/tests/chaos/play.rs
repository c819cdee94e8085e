//! One scenario: an app asks, a process dies and comes back, and the books are checked.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_bee_dev::{Faults, InjectedError};
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{
    App, ECHO, Gateway, PATIENCE, Process, Provider, Question, Reply, Scene, SceneSpec,
};
use tokio::sync::watch;
use url::Url;

use super::T4T;
use super::shot::{Aim, Shot, Side};

/// How long an app waits for its answer, counted from the process's return.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10);

/// How long after the app was told a process that did not die by itself is ended.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// With it an answer takes two blocks.
const TOKEN_DELAY: Duration = Duration::from_millis(250);

const SIGKILL: i32 = 9;

const TEXT: &str = "what was said before the lights went out";

/// What became of a scenario.
pub(crate) struct Outcome {
    reply: Reply,
    died: bool,
    calls: u64,
    told: Duration,
    closed: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.reply.is_answer() { "answered" } else { "clean error" };
        let died = if self.died { "died" } else { "did not die there" };
        write!(
            f,
            "{died}, {end} ({}) {:.1} s and settled {:.1} s after the return, {} backend calls",
            self.reply.status,
            self.told.as_secs_f64(),
            self.closed.as_secs_f64(),
            self.calls
        )
    }
}

/// Plays a scenario.
pub(crate) async fn play(shot: &Shot) -> anyhow::Result<Outcome> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene.play(async |scene: &mut Scene| Box::pin(play_in(scene, shot)).await).await
}

async fn play_in(scene: &mut Scene, shot: &Shot) -> anyhow::Result<Outcome> {
    arm(scene, shot).await?;
    let (told_url, url) = watch::channel(scene.gateway.url().await?);
    let (tell, told) = watch::channel(None);
    let app = scene.world.app.clone();
    let asking = async {
        let reply = ask(&app, url).await;
        tell.send_replace(Some(Instant::now()));
        reply
    };
    let killing = kill(scene, shot, told_url, told.clone());
    let (reply, killed) = futures_util::future::join(asking, killing).await;
    let Killed { died, returned } = killed?;
    ensure!(reply.is_answer() || reply.is_clean_error(), "status {}: {}", reply.status, reply.body);
    let jobs = scene.closed().await?;
    let closed = returned.elapsed();
    let told_at = told.borrow().unwrap_or(returned);
    let outcome = Outcome {
        reply,
        died,
        calls: scene.backend.calls(),
        told: told_at.saturating_duration_since(returned),
        closed,
    };
    judge(shot, &outcome, &jobs)?;
    Ok(outcome)
}

fn judge(shot: &Shot, outcome: &Outcome, jobs: &[JobEntry]) -> anyhow::Result<()> {
    let must_die = matches!(shot.aim, Aim::At(_, passage) if passage <= 2);
    ensure!(outcome.died || !must_die, "the process did not pass there");
    ensure!(jobs.len() <= 1, "one request, one provider, and {} jobs: {jobs:?}", jobs.len());
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    ensure!(outcome.calls <= shot.most_calls(), "the backend was asked {} times", outcome.calls);
    ensure!(outcome.told <= RECOVERY_LIMIT, "the app was told {:?} after the return", outcome.told);
    if outcome.reply.is_answer() {
        ensure!(outcome.reply.answer()?.trim() == TEXT, "another answer: {}", outcome.reply.body);
        ensure!(jobs.iter().all(|job| !job.paid.is_zero()), "answered and not paid: {jobs:?}");
    }
    Ok(())
}

/// Starts the process that is to die again, so that it dies there. It has registered before, so that the first
/// transactions are the job's.
async fn arm(scene: &mut Scene, shot: &Shot) -> anyhow::Result<()> {
    let order = shot.kill_at();
    let order = order.as_deref().map(|order| ("KILL_AT", order));
    match shot.side {
        Side::Gateway => {
            scene.gateway.process.restart(order.as_slice())?;
            scene.gateway.offers(&scene.world, ECHO).await?;
        }
        Side::Provider => {
            scene.provider.process.restart(order.as_slice())?;
            scene.provider.started().await?;
        }
    }
    if shot.needs_time() {
        scene.backend.set_token_delay(TOKEN_DELAY);
    }
    if shot.needs_a_refusal() {
        let lost = InjectedError { probability: 1.0, status: 404 };
        scene.world.bee.faults().set(Faults { download_error: Some(lost), ..Faults::realistic() });
    }
    Ok(())
}

/// Asks as an app does that wants its answer: again with the same key, whenever the connection breaks.
async fn ask(app: &App, url: watch::Receiver<Url>) -> Reply {
    let question = Question::new(ECHO, TEXT).keyed("chaos");
    loop {
        let url = url.borrow().clone();
        match app.ask(&url, &question).await {
            Ok(reply) if reply.is_answer() || (reply.is_clean_error() && reply.status != 503) => {
                return reply;
            }
            // Told to come back, or cut off.
            _ => SystemClock.sleep(Duration::from_millis(100)).await,
        }
    }
}

struct Killed {
    died: bool,
    returned: Instant,
}

async fn kill(
    scene: &mut Scene,
    shot: &Shot,
    told_url: watch::Sender<Url>,
    mut told: watch::Receiver<Option<Instant>>,
) -> anyhow::Result<Killed> {
    let Scene {
        gateway: Gateway { process: gateway, .. }, provider: Provider { process: provider, .. }, ..
    } = scene;
    let process: &mut Process = if shot.side == Side::Gateway { gateway } else { provider };
    let dying = async {
        match shot.aim {
            Aim::At(..) => process.ends(PATIENCE).await.map(Some),
            Aim::After(time) => {
                SystemClock.sleep(time).await;
                Ok(None)
            }
        }
    };
    let too_late = async {
        let _told = told.wait_for(Option::is_some).await;
        SystemClock.sleep(LAST_CHANCE).await;
    };
    let status = tokio::select! {
        status = dying => status?,
        () = too_late => None,
    };
    if let Some(status) = status {
        ensure!(status.signal() == Some(SIGKILL), "it ended by itself: {status}");
    }
    let returned = Instant::now();
    process.restart(&[])?;
    scene.world.bee.faults().set(Faults::realistic());
    if shot.side == Side::Gateway {
        told_url.send_replace(scene.gateway.url().await?);
    } else {
        scene.provider.started().await?;
    }
    Ok(Killed { died: status.is_some() || matches!(shot.aim, Aim::After(_)), returned })
}
