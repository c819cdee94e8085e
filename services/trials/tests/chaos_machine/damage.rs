//! Databases that hold what was never written: no role acts on them, each says what to do, and doing it helps.

use std::fmt;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::chaos::{Form, seed};
use t4t_testkit::processes::{Gateway, PATIENCE, Process, Scene, SceneSpec};
use tokio::sync::watch;

use super::files::{Files, Tail};
use super::tally::{Dice, Found, Tally, most_claims};
use super::trade::{Side, ask, ask_well, closed};
use super::{SIDE_BY_SIDE, T4T};

/// Scenarios in the short and the full form.
const RUNS: (u32, u32) = (4, 20);

/// The role stops at most so long after the question.
const LATEST: Duration = Duration::from_millis(1500);

/// SQLite's usual page.
const PAGE: u64 = 4096;

/// What is wrong with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// The first bytes are others.
    Header,
    /// Some pages are garbage.
    Pages,
    /// The second half is missing.
    Half,
    /// The log breaks off within a commit, or what follows the last commit is garbage.
    TornLog(Tail),
}

impl Damage {
    const ALL: [Self; 5] =
        [Self::Header, Self::Pages, Self::Half, Self::TornLog(Tail::Torn), Self::TornLog(Tail::Garbage)];
}

struct Play {
    damage: Damage,
    side: Side,
    after: Duration,
    pace: Duration,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { damage, side, after, pace } = self;
        write!(f, "{side}'s database damaged ({damage:?}) {after:?} after a question, {pace:?} a token")
    }
}

#[actix_web::test]
async fn a_damaged_database_stops_the_start_and_a_copy_helps() -> anyhow::Result<()> {
    let runs = u64::from(Form::from_env().runs(RUNS.0, RUNS.1)?);
    let seed = seed()?;
    let plays: Vec<Play> = (0..runs)
        .map(|number| {
            let mut dice = Dice(seed * 1000 + number);
            Play {
                damage: Damage::ALL[usize::try_from(number % 5).unwrap_or_default()],
                side: if dice.throw(2) == 0 { Side::Gateway } else { Side::Provider },
                after: dice.time(LATEST),
                pace: dice.time(Duration::from_millis(200)),
            }
        })
        .collect();
    let tally = Tally::default();
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| {
        let found = play_one(play).await?;
        tally.add(found);
        Ok(format!("{} of {} answered", found.answered, found.asked))
    })
    .await?;
    tally.report("a damaged database: header, pages, half of it, torn log", "starts refused with advice")
}

async fn play_one(play: &Play) -> anyhow::Result<Found> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            ask_well(scene, 0).await?;
            scene.backend.set_token_delay(play.pace);
            let (address, url) = watch::channel(scene.gateway.url().await?);
            let app = scene.world.app.clone();
            let asking = ask(&app, &url, 1);
            let breaking = async {
                let refused = break_and_mend(scene, play).await?;
                address.send_replace(scene.gateway.url().await?);
                scene.provider.started().await?;
                Ok(refused)
            };
            let ((reply, _), refused) = futures_util::future::try_join(asking, breaking).await?;
            ask_well(scene, 2).await?;
            let jobs = closed(scene, 3).await?;
            let answered = 2 + usize::from(reply.is_answer());
            let claims = most_claims(&jobs);
            Ok(Found {
                asked: 3,
                answered,
                posts: 1,
                claims,
                slowest: Duration::ZERO,
                notes: u64::from(refused),
            })
        })
        .await
}

fn process(scene: &mut Scene, side: Side) -> (&mut Process, Files) {
    match side {
        Side::Gateway => {
            let Gateway { process, database, .. } = &mut scene.gateway;
            (process, Files::of(database))
        }
        Side::Provider => (&mut scene.provider.process, Files::of(&scene.provider.database)),
    }
}

/// Damages a database; whether its role refused to start on it. In the end the role runs.
async fn break_and_mend(scene: &mut Scene, play: &Play) -> anyhow::Result<bool> {
    SystemClock.sleep(play.after).await;
    let (process, files) = process(scene, play.side);
    if let Damage::TornLog(tail) = play.damage {
        process.kill9()?;
        files.cut_power(tail)?;
        process.restart(&[])?;
        return Ok(false);
    }
    // Closed well, so that the file holds everything.
    process.stop(PATIENCE).await?;
    let copy = tempfile::tempdir()?;
    files.copy_to(copy.path())?;
    harm(&files, play.damage)?;
    process.restart(&[])?;
    let status = process.ends(PATIENCE).await?;
    let said = process.log();
    ensure!(status.code() == Some(1), "it started on a damaged database, or crashed: {status}\n{said}");
    ensure!(said.contains("put a copy of t4t.db back"), "no advice: {said}");
    files.restore_from(copy.path())?;
    process.restart(&[])?;
    Ok(true)
}

fn harm(files: &Files, damage: Damage) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).open(&files.database)?;
    let pages = file.metadata()?.len() / PAGE;
    ensure!(pages > 10, "the database has only {pages} pages: the log was not written back");
    let garbage = [0xa5; PAGE as usize];
    match damage {
        Damage::Header => file.write_all_at(&garbage[..16], 0)?,
        Damage::Pages => {
            for page in [pages / 3, pages / 2, pages - 1] {
                file.write_all_at(&garbage, page * PAGE)?;
            }
        }
        Damage::Half => file.set_len(pages / 2 * PAGE)?,
        Damage::TornLog(_) => {}
    }
    file.sync_all().context("the damage is done")
}

/// The advice's second half: without a copy, afresh.
#[actix_web::test]
async fn without_a_copy_a_gateway_starts_afresh_and_its_money_comes_back() -> anyhow::Result<()> {
    afresh(Side::Gateway).await
}

#[actix_web::test]
async fn without_a_copy_a_provider_starts_afresh_and_loses_no_stake() -> anyhow::Result<()> {
    afresh(Side::Provider).await
}

async fn afresh(side: Side) -> anyhow::Result<()> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.backend.set_token_delay(Duration::from_millis(300));
            let (address, url) = watch::channel(scene.gateway.url().await?);
            let app = scene.world.app.clone();
            let asking = ask(&app, &url, 0);
            let losing = async {
                scene.world.anvil.mine(1).await?;
                SystemClock.sleep(LATEST).await;
                let (process, files) = process(scene, side);
                process.kill9()?;
                files.remove();
                process.restart(&[])?;
                address.send_replace(scene.gateway.url().await?);
                scene.provider.started().await
            };
            futures_util::future::try_join(asking, losing).await?;
            scene.world.settled(PATIENCE).await?;
            let jobs = scene.world.ledger().closed(PATIENCE).await?;
            ensure!(jobs.len() <= 2, "one request, and {} jobs: {jobs:?}", jobs.len());
            ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
            Ok(())
        })
        .await
}
