//! Apps that want their answers.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use t4t_clock::{Clock, SystemClock, timeout};
use t4t_testkit::eventually;
use t4t_testkit::processes::{App, ECHO, PATIENCE, Question, Reply, Scene};
use url::Url;

/// How long an app waits for its answer.
const LIMIT: Duration = Duration::from_secs(240);

/// What the app with this number says.
pub(crate) fn text(number: usize) -> String {
    format!("what app {number} said before the chain went back")
}

/// Waits so long.
pub(crate) async fn pause(time: Duration) {
    SystemClock.sleep(time).await;
}

/// Waits until a request is answered; how many jobs that took.
pub(crate) async fn warm_up(scene: &mut Scene) -> anyhow::Result<usize> {
    let question = Question::new(ECHO, "is all well?");
    eventually(PATIENCE, "an answer before anything goes wrong", async || {
        scene.ask(&question).await.ok()?.is_answer().then_some(())
    })
    .await?;
    Ok(scene.closed().await?.len())
}

/// So many apps ask at once, each until it has an answer or an error that is not worth another try.
pub(crate) async fn all(app: &App, url: &Url, apps: usize) -> anyhow::Result<Vec<Reply>> {
    join_all((0..apps).map(|number| one(app, url, number))).await.into_iter().collect()
}

async fn one(app: &App, url: &Url, number: usize) -> anyhow::Result<Reply> {
    let (text, key) = (text(number), format!("key-{number}"));
    let question = Question::new(ECHO, &text).keyed(&key);
    let asking = async {
        loop {
            let reply = app.ask(url, &question).await?;
            let is_told_to_come_back = matches!(reply.status, 503 | 504);
            if reply.is_answer() || (reply.is_clean_error() && !is_told_to_come_back) {
                return anyhow::Ok(reply);
            }
            pause(Duration::from_secs(1)).await;
        }
    };
    timeout(&SystemClock, LIMIT, asking).await.ok().context("the app was never told")?
}

/// Checks that each app has its own answer.
pub(crate) fn each_has_its_own(replies: &[Reply]) -> anyhow::Result<()> {
    for (number, reply) in replies.iter().enumerate() {
        ensure!(reply.answer()?.trim() == text(number), "app {number} has another answer: {}", reply.body);
    }
    Ok(())
}
