//! Swarm nodes that lose, double, hold back and refuse: every request is answered or refunded, and none hangs.
//!
//! `CHAOS=full` asks 100 requests in each weather, `CHAOS_SEED=n` throws other dice, `CHAOS_ONLY=batch` plays only the
//! weathers whose names hold that.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt};
use t4t_bee_dev::{Faults, InjectedError, StampsEnd};
use t4t_clock::{SystemClock, timeout};
use t4t_testkit::chaos::{Form, Row, seed};
use t4t_testkit::processes::{App, ECHO, Question, Reply, RoleSpec, Scene, SceneSpec};
use url::Url;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// The number of this row in the table.
const ROW: u8 = 5;

/// Requests of each scenario, in the short and the full form.
const JOBS: (u32, u32) = (3, 100);

/// Requests asked at once.
const AT_ONCE: usize = 5;

/// Seconds that a provider has, and that a request may take beyond that.
const DEADLINE_SECONDS: u64 = 60;
const GRACE_SECONDS: u64 = 60;

/// How long one request is waited for.
const LIMIT: Duration = Duration::from_secs(150);

/// What goes wrong, and whether an answer has to come all the same.
struct Weather {
    name: &'static str,
    faults: Faults,
    must_answer: bool,
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn weather(name: &'static str, must_answer: bool, change: impl FnOnce(&mut Faults)) -> Weather {
    let mut faults = Faults::realistic();
    change(&mut faults);
    Weather { name, faults, must_answer }
}

fn failing(status: u16, probability: f64) -> Option<InjectedError> {
    Some(InjectedError { probability, status })
}

fn expired(node: usize) -> Option<StampsEnd> {
    Some(StampsEnd { node, seconds_left: 0 })
}

fn all() -> Vec<Weather> {
    vec![
        weather("messages lost, 3 of 10", true, |faults| faults.drop_messages = 0.3),
        weather("messages doubled, 3 of 10", true, |faults| faults.duplicate_messages = 0.3),
        weather("messages overtaken, 3 of 10", true, |faults| faults.reorder_messages = 0.3),
        weather("messages late by more than a job takes", true, |faults| faults.message_delay_ms = 6000),
        weather("messages late by 60 s", true, |faults| faults.message_delay_ms = 60_000),
        weather("sockets silent", true, |faults| faults.silent_sockets = true),
        weather("uploads fail with 500, 3 of 10", true, |faults| faults.upload_error = failing(500, 0.3)),
        weather("uploads fail with 402, 3 of 10", false, |faults| faults.upload_error = failing(402, 0.3)),
        weather("uploads fail with 422, 3 of 10", false, |faults| faults.upload_error = failing(422, 0.3)),
        weather("every upload fails with 500", false, |faults| faults.upload_error = failing(500, 1.0)),
        weather("every upload fails with 402", false, |faults| faults.upload_error = failing(402, 1.0)),
        weather("every upload fails with 422", false, |faults| faults.upload_error = failing(422, 1.0)),
        weather("every batch full", false, |faults| faults.stamp_full = true),
        weather("the gateway's batch expired", false, |faults| faults.stamps_end = expired(0)),
        weather("the provider's batch expired", false, |faults| faults.stamps_end = expired(1)),
        weather("not found twice, then found", true, |faults| faults.not_found_first_n = 2),
        weather("downloads fail with 500, 3 of 10", true, |faults| faults.download_error = failing(500, 0.3)),
        weather("nothing is ever found", false, |faults| faults.download_error = failing(404, 1.0)),
        weather("chunks refused", true, |faults| faults.refuse_chunks = true),
    ]
}

#[actix_web::test]
async fn every_request_is_answered_or_refunded_whatever_swarm_does() -> anyhow::Result<()> {
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let plays: Vec<Weather> = all().into_iter().filter(|play| play.name.contains(&only)).collect();
    let (seed, jobs) = (seed()?, Form::from_env().runs(JOBS.0, JOBS.1)? as usize);
    let found = Mutex::new(Found::default());
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |weather: &Weather| {
        let (one, said) = play(weather, seed, jobs).await?;
        found.lock().unwrap_or_else(PoisonError::into_inner).add(&one);
        Ok(said)
    })
    .await?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tried = format!("Swarm: {} kinds of weather, {jobs} requests each", plays.len());
    Row::new(ROW, tried, plays.len() as u64, found.said()).report()
}

/// What scenarios found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    asked: usize,
    answered: usize,
    /// Jobs on the chain, all of which ended.
    jobs: usize,
    /// Those that were paid for; the others' money went back.
    paid: usize,
    /// From the question until the app was told.
    longest: Duration,
}

impl Found {
    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.jobs += other.jobs;
        self.paid += other.paid;
        self.longest = self.longest.max(other.longest);
    }

    fn said(&self) -> String {
        format!(
            "{} of {} told, {} answered; {} jobs, all ended: {} paid, {} refunded; 0 double posts, 0 slashed, 0 hangs \
             beyond the deadline + 60 s; longest from question to end {:.1} s",
            self.asked,
            self.asked,
            self.answered,
            self.jobs,
            self.paid,
            self.jobs - self.paid,
            self.longest.as_secs_f64()
        )
    }
}

async fn play(weather: &Weather, seed: u64, asked: usize) -> anyhow::Result<(Found, String)> {
    let deadline = DEADLINE_SECONDS.to_string();
    let variables = [("T4T_DEFAULT_DEADLINE_SECONDS", deadline.as_str())];
    let gateway = RoleSpec::gateway().with(&variables);
    let provider = RoleSpec::provider().with(&[("T4T_MAX_CONCURRENT_JOBS", "5")]);
    let mut scene = Scene::start(SceneSpec { gateway, provider, ..SceneSpec::new(T4T) }).await?;
    scene.world.bee.faults().reseed(seed);
    scene.world.bee.faults().set(weather.faults.clone());
    scene
        .play(async |scene: &mut Scene| {
            let url = scene.gateway.url().await?;
            let asking = (0..asked).map(|number| ask(scene.world.app.clone(), url.clone(), number));
            let replies: Vec<(Reply, Duration)> =
                futures_util::stream::iter(asking).buffer_unordered(AT_ONCE).try_collect().await?;
            for (reply, _) in &replies {
                ensure!(reply.is_answer() || reply.is_clean_error(), "{}: {}", reply.status, reply.body);
                ensure!(reply.is_answer() || !weather.must_answer, "{}: {}", reply.status, reply.body);
            }
            let jobs = scene.ledger().closed(LIMIT).await?;
            ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
            let paid = jobs.iter().filter(|job| !job.paid.is_zero()).count();
            let answered = replies.iter().filter(|(reply, _)| reply.is_answer()).count();
            let longest = replies.iter().map(|(_, took)| *took).max().unwrap_or_default();
            let late = Duration::from_secs(DEADLINE_SECONDS + GRACE_SECONDS);
            ensure!(longest <= late, "a request took {longest:?}");
            ensure!(paid <= answered, "{paid} jobs paid and {answered} requests answered: {jobs:?}");
            let said = format!(
                "{answered} answered and {paid} paid of {asked}, {} jobs, longest {longest:.1?}",
                jobs.len()
            );
            Ok((Found { asked, answered, jobs: jobs.len(), paid, longest }, said))
        })
        .await
}

async fn ask(app: App, url: Url, number: usize) -> anyhow::Result<(Reply, Duration)> {
    let text = format!("question {number}");
    let question = Question::new(ECHO, &text);
    let began = Instant::now();
    let reply = timeout(&SystemClock, LIMIT, app.ask(&url, &question)).await.ok().context("it hangs")??;
    Ok((reply, began.elapsed()))
}
