//! One scenario: an app asks, processes die and come back, and the books are checked.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_bee_dev::{Faults, InjectedError};
use t4t_clock::{Clock, SystemClock};
use t4t_store::Store;
use t4t_store::transactions::TransactionScope;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{App, ECHO, PATIENCE, Question, Reply, Scene, SceneSpec};
use tokio::sync::watch;
use url::Url;

use super::T4T;
use super::deaths::{Deaths, Mortal};
use super::scenario::{Aim, Scenario};

/// How long an app may wait for its answer, counted from the last return. The aim is 10 s on a machine that does
/// nothing else; what was measured is reported.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);

/// How often a backend may be asked for one job, however often its provider dies.
const MOST_CALLS: u64 = 2;

const TEXT: &str = "what was said before the lights went out";

/// What became of a scenario.
pub(crate) struct Outcome {
    reply: Reply,
    pub(crate) deaths: u32,
    /// Backend calls.
    pub(crate) calls: u64,
    /// Backend calls after an answer was stored.
    pub(crate) calls_after_stored: u64,
    /// Jobs of the request on the chain.
    pub(crate) jobs: usize,
    /// The most claims of one of them.
    pub(crate) claims: usize,
    /// From the last return until the app was told.
    pub(crate) recovery: Duration,
    closed: Duration,
}

impl Outcome {
    pub(crate) fn is_answered(&self) -> bool {
        self.reply.is_answer()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.is_answered() { "answered" } else { "clean error" };
        write!(
            f,
            "{} deaths, {end} ({}) {:.1} s and settled {:.1} s after the return, {} backend calls",
            self.deaths,
            self.reply.status,
            self.recovery.as_secs_f64(),
            self.closed.as_secs_f64(),
            self.calls
        )
    }
}

/// Plays a scenario.
pub(crate) async fn play(scenario: &Scenario) -> anyhow::Result<Outcome> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene.play(async |scene: &mut Scene| Box::pin(play_in(scene, scenario)).await).await
}

async fn play_in(scene: &mut Scene, scenario: &Scenario) -> anyhow::Result<Outcome> {
    arm(scene, scenario).await?;
    let (address, url) = watch::channel(scene.gateway.url().await?);
    let (tell, told) = watch::channel(None);
    let app = scene.world.app.clone();
    let asking = async {
        let reply = ask(&app, url).await;
        tell.send_replace(Some(Instant::now()));
        anyhow::Ok(reply)
    };
    let faults = scene.world.bee.faults().clone();
    let heal = || faults.set(Faults::realistic());
    let gateway = Mortal::Gateway(&mut scene.gateway, address).live(&scenario.gateway, told.clone(), heal);
    let provider = Mortal::Provider(&mut scene.provider, &scene.backend);
    let provider = provider.live(&scenario.provider, told.clone(), heal);
    let (reply, gateway, provider) = futures_util::future::try_join3(asking, gateway, provider).await?;
    ensure!(reply.is_answer() || reply.is_clean_error(), "status {}: {}", reply.status, reply.body);
    if scenario.needs_silence() {
        scene.provider.process.restart(&[])?;
        scene.provider.started().await?;
    }
    let jobs = scene.closed().await?;
    let told = told.borrow().unwrap_or_else(Instant::now);
    let returned = gateway.returned.max(provider.returned).unwrap_or(told);
    let calls = scene.backend.calls();
    let outcome = Outcome {
        reply,
        deaths: gateway.count + provider.count,
        calls,
        calls_after_stored: provider.calls_when_stored.map_or(0, |stored| calls.saturating_sub(stored)),
        jobs: jobs.len(),
        claims: jobs.iter().map(|job| job.claims).max().unwrap_or_default(),
        recovery: told.saturating_duration_since(returned),
        closed: returned.elapsed(),
    };
    all_died(scenario, &gateway, &provider)?;
    if scenario.needs_silence() {
        ensure!(
            outcome.deaths == 1 && jobs.iter().all(|job| job.claims == 0),
            "it was not taken back: {jobs:?}"
        );
    } else {
        ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    }
    judge(&outcome, &provider, &jobs)?;
    Ok(outcome)
}

fn all_died(scenario: &Scenario, gateway: &Deaths, provider: &Deaths) -> anyhow::Result<()> {
    // Where both die, one's death may end what the other one was to die of.
    let is_alone = scenario.gateway.is_empty() || scenario.provider.is_empty();
    let must_die = |aims: &[Aim]| is_alone && aims.first().is_some_and(|aim| aim.is_certain());
    ensure!(gateway.count > 0 || !must_die(&scenario.gateway), "the gateway did not pass there");
    ensure!(provider.count > 0 || !must_die(&scenario.provider), "the provider did not pass there");
    Ok(())
}

fn judge(outcome: &Outcome, provider: &Deaths, jobs: &[JobEntry]) -> anyhow::Result<()> {
    ensure!(jobs.len() <= 1, "one request, one provider, and {} jobs: {jobs:?}", jobs.len());
    ensure!(outcome.calls_after_stored == 0, "a finished inference ran again");
    let most_calls = (1 + provider.before_the_answer).min(MOST_CALLS);
    ensure!(outcome.calls <= most_calls, "the backend was asked {} times", outcome.calls);
    ensure!(outcome.recovery <= RECOVERY_LIMIT, "the app was told {:?} after the return", outcome.recovery);
    if outcome.is_answered() {
        ensure!(outcome.reply.answer()?.trim() == TEXT, "another answer: {}", outcome.reply.body);
        ensure!(jobs.iter().all(|job| !job.paid.is_zero()), "answered and not paid: {jobs:?}");
    }
    Ok(())
}

/// Starts the processes that are to die again, so that they die there. The provider has registered before, so that its
/// first transactions are the job's.
async fn arm(scene: &mut Scene, scenario: &Scenario) -> anyhow::Result<()> {
    let order = |aims: &[Aim]| aims.first().and_then(|aim| aim.kill_at());
    if let Some(order) = order(&scenario.provider) {
        scene.provider.process.restart(&[("KILL_AT", &order)])?;
        scene.provider.started().await?;
    }
    if let Some(order) = order(&scenario.gateway) {
        has_approved(scene).await?;
        scene.gateway.process.restart(&[("KILL_AT", &order)])?;
        scene.gateway.offers(&scene.world, ECHO).await?;
    }
    if scenario.needs_silence() {
        scene.provider.process.kill9()?;
    }
    scene.backend.set_token_delay(scenario.pace);
    if scenario.needs_a_refusal() {
        let lost = InjectedError { probability: 1.0, status: 404 };
        scene.world.bee.faults().set(Faults { download_error: Some(lost), ..Faults::realistic() });
    }
    Ok(())
}

/// Waits until the gateway's approval is behind it, so that its next transaction is the payment.
async fn has_approved(scene: &Scene) -> anyhow::Result<()> {
    let (token, escrow) = (scene.world.market.addresses.token(), scene.world.market.addresses.escrow);
    let scope = TransactionScope { chain_id: scene.world.anvil.chain_id(), wallet: scene.gateway.wallet };
    eventually(PATIENCE, "the gateway's approval", async || {
        let allowed = token.allowance(scene.world.anvil.rpc(), scope.wallet, escrow).await.ok()?;
        let store = Store::open_existing(&scene.gateway.database).await.ok()?;
        let pending = store.transactions_pending_count(scope).await;
        store.close().await;
        (!allowed.is_zero() && pending.ok()? == 0).then_some(())
    })
    .await
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
