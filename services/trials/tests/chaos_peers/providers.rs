//! Hostile providers: each takes at most one request's price, and the next provider answers.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use t4t_clock::{SystemClock, timeout};
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, Question, RoleSpec, Scene, SceneSpec};
use t4t_testkit::{eventually, play_all};
use t4t_types::{JobStatus, Xbzz};

use super::T4T;
use super::rogue::{Rogue, Trick};

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// How long a request may take: its deadline on the chain, and the next provider's work.
const LIMIT: Duration = Duration::from_secs(260);

/// Chain seconds by which a job is over whose answer was announced and never claimed.
const PAST_EVERY_GRACE: u64 = 900;

/// How it has to end for the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The honest provider answers.
    NextAnswers,
    /// The rogue's own answer was good.
    RogueAnswers,
    /// There is no time for another provider, and the app is told.
    CleanError,
}

/// A scenario.
struct Play {
    trick: Trick,
    deadline: &'static str,
    end: End,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.trick)
    }
}

/// Time enough for two providers.
const AMPLE: &str = "180";

/// Time enough for another provider once the first one's is over.
const ENOUGH: &str = "90";

/// The shortest deadline.
const SHORT: &str = "60";

#[actix_web::test]
async fn a_rogue_takes_one_price_at_most_and_the_next_provider_answers() -> anyhow::Result<()> {
    play_all(
        &[
            Play { trick: Trick::AcknowledgesOnly, deadline: SHORT, end: End::CleanError },
            Play { trick: Trick::AnnouncesNothing, deadline: ENOUGH, end: End::NextAnswers },
            Play { trick: Trick::ClaimsWithAMissingAnswer, deadline: AMPLE, end: End::NextAnswers },
            Play { trick: Trick::Silent, deadline: AMPLE, end: End::NextAnswers },
            Play { trick: Trick::DeliversGarbage, deadline: AMPLE, end: End::NextAnswers },
            Play { trick: Trick::DeliversAnotherJobsAnswer, deadline: AMPLE, end: End::NextAnswers },
            Play { trick: Trick::DeliversAnothersName, deadline: AMPLE, end: End::NextAnswers },
            Play { trick: Trick::ClaimsAnotherReference, deadline: AMPLE, end: End::RogueAnswers },
        ],
        SIDE_BY_SIDE,
        play,
    )
    .await
}

#[actix_web::test]
async fn a_claim_of_everything_for_no_answer_sends_the_request_on() -> anyhow::Result<()> {
    play_all(
        &[Play { trick: Trick::ClaimsWithoutAnswer, deadline: AMPLE, end: End::NextAnswers }],
        SIDE_BY_SIDE,
        play,
    )
    .await
}

#[actix_web::test]
async fn an_announced_answer_that_is_garbage_sends_the_request_on() -> anyhow::Result<()> {
    play_all(
        &[Play { trick: Trick::DeliversGarbageAndWaits, deadline: AMPLE, end: End::NextAnswers }],
        SIDE_BY_SIDE,
        play,
    )
    .await
}

async fn play(Play { trick, deadline, end }: &Play) -> anyhow::Result<String> {
    let variables = [("T4T_SELECTION_STRATEGY", "cheapest"), ("T4T_DEFAULT_DEADLINE_SECONDS", deadline)];
    let gateway = RoleSpec::gateway().with(&variables);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene.world.anvil.set_block_time(None).await?;
    let rogue = Rogue::register(&scene.world, 3).await?;
    scene.world.anvil.set_block_time(Some(1)).await?;
    scene.play(async |scene: &mut Scene| Box::pin(play_in(scene, &rogue, *trick, *end)).await).await
}

async fn play_in(scene: &mut Scene, rogue: &Rogue, trick: Trick, end: End) -> anyhow::Result<String> {
    // A gateway that starts now knows both.
    scene.gateway.process.restart(&[])?;
    scene.gateway.offers(&scene.world, ECHO).await?;
    let url = scene.gateway.url().await?;
    let app = scene.world.app.clone();
    let question = Question::new(ECHO, "who is honest?");
    let asking = timeout(&SystemClock, LIMIT, app.ask(&url, &question));
    // It has to play its trick to the end, even where the gateway does not wait for that.
    let working = rogue.work(&scene.world, trick);
    let told = async {
        let reply = asking.await.ok().context("the app was never told")??;
        let ledger = scene.ledger();
        if trick == Trick::DeliversGarbageAndWaits {
            // The honest provider has claimed by then; a leap in time would cost it its stake.
            eventually(LIMIT, "the honest provider's claim", async || {
                let jobs = ledger.jobs().await.ok()?;
                let is_claimed =
                    |job: &&JobEntry| job.status == JobStatus::Claimed && job.provider != rogue.address();
                jobs.iter().find(is_claimed).map(|_| ())
            })
            .await?;
            scene.world.anvil.advance_time(PAST_EVERY_GRACE).await?;
        }
        anyhow::Ok((reply, ledger.closed(LIMIT).await?))
    };
    let (reply, jobs) = tokio::select! {
        told = told => told?,
        stopped = working => bail!("the rogue stopped: {stopped:?}"),
    };
    let theirs = jobs.iter().filter(|job| job.provider == rogue.address());
    let taken: Xbzz = theirs.clone().map(|job| job.paid).sum();
    let price = theirs.clone().map(|job| job.max_payment).max().context("the rogue was not asked")?;
    ensure!(taken <= price, "the rogue took {taken} for a price of {price}");
    ensure!(theirs.count() == 1, "the rogue was asked again: {jobs:?}");
    match end {
        End::NextAnswers => {
            ensure!(reply.answer()? == "who is honest? ", "{}", reply.body);
            ensure!(reply.attempts == Some(2), "{:?} attempts", reply.attempts);
        }
        // The answer was good; what it then claims is its own affair.
        End::RogueAnswers => ensure!(reply.answer()? == "what the rogue says", "{}", reply.body),
        End::CleanError => ensure!(reply.is_clean_error(), "status {}: {}", reply.status, reply.body),
    }
    let honest = jobs.iter().filter(|job| job.provider == scene.provider.wallet);
    ensure!(honest.clone().all(|job| job.slashed.is_zero()), "the honest one lost stake: {jobs:?}");
    let told = if reply.is_answer() { "answered" } else { "clean error" };
    Ok(format!("{told}, {taken} xBZZ taken of {price}"))
}
