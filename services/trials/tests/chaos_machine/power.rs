//! The power fails in the middle of trades: of everything that was not synced nothing may be left, and each role goes on
//! from what is, with the chain ahead of it.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::chaos::{Form, seed};
use t4t_testkit::processes::{Scene, SceneSpec};
use tokio::sync::watch;
use url::Url;

use super::files::{Files, Tail};
use super::tally::{Dice, Found, Tally, most_claims};
use super::trade::{Side, ask, closed};
use super::{SIDE_BY_SIDE, T4T};

/// Power cuts in the short and the full form.
const CUTS: (u32, u32) = (12, 500);

/// Power cuts in one world, one after the other.
const A_WORLD: u32 = 4;

/// The power fails at most so long after a question.
const LATEST: Duration = Duration::from_millis(3000);

/// A trade's power cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    gateway: bool,
    provider: bool,
    after: Duration,
    tail: Tail,
    pace: Duration,
}

impl Cut {
    fn throw(dice: &mut Dice) -> Self {
        let who = dice.throw(5);
        Self {
            gateway: who != 1 && who != 2,
            provider: who != 3 && who != 4,
            after: dice.time(LATEST),
            tail: Tail::ALL[usize::try_from(dice.throw(3)).unwrap_or_default()],
            pace: dice.time(Duration::from_millis(200)),
        }
    }
}

/// A world with some cuts.
struct Play {
    seed: u64,
    cuts: Vec<Cut>,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power cuts of seed {}: {:?}", self.seed, self.cuts)
    }
}

#[actix_web::test]
async fn a_power_cut_loses_nothing_that_somebody_was_told() -> anyhow::Result<()> {
    let cuts = Form::from_env().runs(CUTS.0, CUTS.1)?;
    let seed = seed()?;
    let plays: Vec<Play> = (0..u64::from(cuts.div_ceil(A_WORLD)))
        .map(|number| {
            let mut dice = Dice(seed * 10_000 + number);
            Play { seed: seed * 10_000 + number, cuts: (0..A_WORLD).map(|_| Cut::throw(&mut dice)).collect() }
        })
        .collect();
    let tally = Tally::default();
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| {
        let (found, lost) = play_one(play).await?;
        found.iter().for_each(|found| tally.add(*found));
        Ok(format!("{} cuts, {lost} of them took something away", found.len()))
    })
    .await?;
    tally
        .report("power cuts in trades, what was not synced gone, torn or garbage", "cuts took something away")
}

async fn play_one(play: &Play) -> anyhow::Result<(Vec<Found>, u64)> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            let mut found = Vec::new();
            for (number, cut) in play.cuts.iter().enumerate() {
                found.push(Box::pin(play_cut(scene, number, cut)).await?);
            }
            let lost = found.iter().map(|found| found.notes).sum();
            Ok((found, lost))
        })
        .await
}

async fn play_cut(scene: &mut Scene, number: usize, cut: &Cut) -> anyhow::Result<Found> {
    scene.backend.set_token_delay(cut.pace);
    let calls_before = scene.backend.calls();
    let (address, url) = watch::channel(scene.gateway.url().await?);
    let app = scene.world.app.clone();
    let asking = ask(&app, &url, number);
    let cutting = cut_power(scene, cut, &address);
    let ((reply, told), (back, lost)) = futures_util::future::try_join(asking, cutting).await?;
    let jobs = closed(scene, number + 1).await?;
    let calls = scene.backend.calls() - calls_before;
    let most = 1 + u64::from(cut.provider);
    ensure!(calls <= most, "{calls} inferences for one request, {cut:?}");
    Ok(Found {
        asked: 1,
        answered: usize::from(reply.is_answer()),
        posts: 1,
        claims: most_claims(&jobs),
        slowest: told.saturating_duration_since(back),
        notes: u64::from(lost > 0),
    })
}

/// Cuts the power and starts what was cut off again; when that was, and how many bytes were lost.
async fn cut_power(
    scene: &mut Scene,
    cut: &Cut,
    address: &watch::Sender<Url>,
) -> anyhow::Result<(Instant, u64)> {
    SystemClock.sleep(cut.after).await;
    // At the same moment, as far as that goes: first both end, then the disks are looked at.
    if cut.gateway {
        scene.gateway.process.kill9()?;
    }
    if cut.provider {
        scene.provider.process.kill9()?;
    }
    let mut lost = 0;
    for (is_cut, side) in [(cut.gateway, Side::Gateway), (cut.provider, Side::Provider)] {
        if is_cut {
            lost += leave_the_certain(scene, side, cut.tail)?;
        }
    }
    let back = Instant::now();
    if cut.provider {
        scene.provider.process.restart(&[])?;
    }
    if cut.gateway {
        scene.gateway.process.restart(&[])?;
        address.send_replace(scene.gateway.url().await?);
    }
    if cut.provider {
        scene.provider.started().await?;
    }
    Ok((back, lost))
}

fn leave_the_certain(scene: &Scene, side: Side, tail: Tail) -> anyhow::Result<u64> {
    let database = match side {
        Side::Gateway => &scene.gateway.database,
        Side::Provider => &scene.provider.database,
    };
    // Written and never synced: it can be found again.
    let remembered = database.with_file_name("postage-batch.json");
    if tail != Tail::Garbage && remembered.exists() {
        std::fs::write(remembered, [])?;
    }
    Files::of(database).cut_power(tail)
}
