//! Swarm nodes that lose, double, hold back and refuse: every request is answered or refunded, and none hangs.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_bee_dev::{Faults, InjectedError};
use t4t_clock::{SystemClock, timeout};
use t4t_testkit::processes::{ECHO, Question, RoleSpec, Scene, SceneSpec};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// Requests of each scenario, one after the other.
const JOBS: usize = 3;

/// How long one request may take. The deadline on the chain is a minute.
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

fn all() -> Vec<Weather> {
    vec![
        weather("messages lost, 3 of 10", true, |faults| faults.drop_messages = 0.3),
        weather("messages doubled, 3 of 10", true, |faults| faults.duplicate_messages = 0.3),
        weather("messages overtaken, 3 of 10", true, |faults| faults.reorder_messages = 0.3),
        weather("messages late by more than a job takes", true, |faults| faults.message_delay_ms = 6000),
        weather("sockets silent", true, |faults| faults.silent_sockets = true),
        weather("uploads fail with 500, 3 of 10", true, |faults| faults.upload_error = failing(500, 0.3)),
        weather("uploads fail with 402, 3 of 10", false, |faults| faults.upload_error = failing(402, 0.3)),
        weather("uploads fail with 422, 3 of 10", false, |faults| faults.upload_error = failing(422, 0.3)),
        weather("every upload fails with 500", false, |faults| faults.upload_error = failing(500, 1.0)),
        weather("every upload fails with 402", false, |faults| faults.upload_error = failing(402, 1.0)),
        weather("every upload fails with 422", false, |faults| faults.upload_error = failing(422, 1.0)),
        weather("every batch full", false, |faults| faults.stamp_full = true),
        weather("not found twice, then found", true, |faults| faults.not_found_first_n = 2),
        weather("downloads fail with 500, 3 of 10", true, |faults| faults.download_error = failing(500, 0.3)),
        weather("nothing is ever found", false, |faults| faults.download_error = failing(404, 1.0)),
        weather("chunks refused", true, |faults| faults.refuse_chunks = true),
    ]
}

#[actix_web::test]
async fn every_request_is_answered_or_refunded_whatever_swarm_does() -> anyhow::Result<()> {
    t4t_testkit::play_all(&all(), SIDE_BY_SIDE, play).await
}

async fn play(weather: &Weather) -> anyhow::Result<String> {
    let gateway = RoleSpec::gateway().with(&[("T4T_DEFAULT_DEADLINE_SECONDS", "60")]);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene.world.bee.faults().reseed(1);
    scene.world.bee.faults().set(weather.faults.clone());
    scene
        .play(async |scene: &mut Scene| {
            let mut answered = 0;
            for number in 0..JOBS {
                let text = format!("question {number}");
                let question = Question::new(ECHO, &text);
                let asking = scene.ask(&question);
                let reply = timeout(&SystemClock, LIMIT, asking).await.ok().context("it hangs")??;
                ensure!(reply.is_answer() || reply.is_clean_error(), "{}: {}", reply.status, reply.body);
                ensure!(reply.is_answer() || !weather.must_answer, "{}: {}", reply.status, reply.body);
                answered += usize::from(reply.is_answer());
            }
            let jobs = scene.ledger().closed(LIMIT).await?;
            ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
            let paid = jobs.iter().filter(|job| !job.paid.is_zero()).count();
            Ok(format!("{answered} answered and {paid} paid of {JOBS}, {} jobs", jobs.len()))
        })
        .await
}
