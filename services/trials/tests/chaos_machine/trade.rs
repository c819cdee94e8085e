//! What every scenario does: an app asks and asks again until it is told, and the books are checked.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use t4t_clock::{Clock, SystemClock, timeout};
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{App, ECHO, Question, Reply, Scene};
use tokio::sync::watch;
use url::Url;

/// How long an app asks for.
const LIMIT: Duration = Duration::from_secs(150);

/// How often it asks again.
const AGAIN: Duration = Duration::from_millis(200);

/// Which process is in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Gateway,
    Provider,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Provider => "provider",
        })
    }
}

/// A question's text, by its number.
pub(crate) fn text(number: usize) -> String {
    format!("question number {number} of one app that wants to know")
}

/// Asks until there is an answer or an error that is not worth another try; when that was.
pub(crate) async fn ask(
    app: &App,
    url: &watch::Receiver<Url>,
    number: usize,
) -> anyhow::Result<(Reply, Instant)> {
    let (text, key) = (text(number), format!("key-{number}"));
    let question = Question::new(ECHO, &text).keyed(&key);
    let asking = async {
        loop {
            let address = url.borrow().clone();
            if let Ok(reply) = app.ask(&address, &question).await
                && (reply.is_answer() || (reply.is_clean_error() && reply.status != 503))
            {
                return reply;
            }
            SystemClock.sleep(AGAIN).await;
        }
    };
    let reply = timeout(&SystemClock, LIMIT, asking).await.ok().context("the app was never told")?;
    if reply.is_answer() {
        ensure!(reply.answer()?.trim() == text, "another answer: {}", reply.body);
    }
    Ok((reply, Instant::now()))
}

/// Asks and wants an answer.
pub(crate) async fn ask_well(scene: &mut Scene, number: usize) -> anyhow::Result<()> {
    let (_alive, url) = watch::channel(scene.gateway.url().await?);
    let (reply, _) = ask(&scene.world.app.clone(), &url, number).await?;
    reply.answer().map(drop)
}

/// Waits until all is over; each request has at most one job, and no stake was burned.
pub(crate) async fn closed(scene: &Scene, requests: usize) -> anyhow::Result<Vec<JobEntry>> {
    let jobs = scene.closed().await?;
    ensure!(jobs.len() <= requests, "{requests} requests, one provider, and {} jobs: {jobs:?}", jobs.len());
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    Ok(jobs)
}
