//! Apps that ask, one after the other, and wait side by side.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use t4t_clock::{Clock, SystemClock, timeout};
use t4t_testkit::processes::{App, ECHO, Question};
use tokio::task::JoinSet;
use url::Url;

/// How long an app asks for: a job's deadline, twice.
const LIMIT: Duration = Duration::from_secs(300);

/// How often it asks again.
const AGAIN: Duration = Duration::from_secs(1);

/// What apps were told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) slowest: Duration,
}

/// Apps that wait.
pub(crate) struct Traffic {
    app: App,
    url: Url,
    waiting: JoinSet<anyhow::Result<(bool, Duration)>>,
    told: Told,
}

impl Traffic {
    pub(crate) fn new(app: App, url: Url) -> Self {
        Self { app, url, waiting: JoinSet::new(), told: Told::default() }
    }

    pub(crate) fn asked(&self) -> u64 {
        self.told.asked
    }

    /// Lets another app ask.
    pub(crate) fn ask(&mut self) {
        self.told.asked += 1;
        self.waiting.spawn(ask(self.app.clone(), self.url.clone(), self.told.asked));
    }

    /// Waits until every app was told.
    pub(crate) async fn all_told(mut self) -> anyhow::Result<Told> {
        while let Some(told) = self.waiting.join_next().await {
            let (is_answer, took) = told??;
            self.told.answered += u64::from(is_answer);
            self.told.slowest = self.told.slowest.max(took);
        }
        Ok(self.told)
    }
}

/// Asks until there is an answer, or an error that is not worth another try.
async fn ask(app: App, url: Url, number: u64) -> anyhow::Result<(bool, Duration)> {
    let (text, key) = (format!("question number {number}"), format!("key-{number}"));
    let mut question = Question::new(ECHO, &text).keyed(&key);
    if number.is_multiple_of(2) {
        question = question.streamed();
    }
    let began = Instant::now();
    let asking = async {
        loop {
            if let Ok(reply) = app.ask(&url, &question).await
                && (reply.is_answer() || (reply.is_clean_error() && reply.status != 503))
            {
                return reply;
            }
            SystemClock.sleep(AGAIN).await;
        }
    };
    let reply = timeout(&SystemClock, LIMIT, asking).await.ok().context("an app was never told")?;
    if reply.is_answer() {
        ensure!(reply.content.trim() == text, "another answer: {}", reply.body);
    }
    Ok((reply.is_answer(), began.elapsed()))
}
