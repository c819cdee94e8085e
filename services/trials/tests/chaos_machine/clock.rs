//! Clocks that are wrong or are set: deadlines are the chain's, jobs are traded, nothing is burned.
//!
//! Messages are taken for two minutes before and after the time they name; where clocks differ by more, answers and
//! acknowledgements are learnt from the chain.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::chaos::Form;
use t4t_testkit::processes::{RoleSpec, Scene, World, WorldConfig};
use tokio::sync::watch;

use super::tally::{Found, Tally, most_claims};
use super::trade::{Side, ask, ask_well, closed};
use super::{SIDE_BY_SIDE, T4T};

/// Seconds that a clock shows too many.
type Seconds = i64;

/// How far clocks may be wrong with messages still taken; and what an hour is.
const WRONG: Seconds = 120;
const HOUR: Seconds = 3600;

/// When a clock is set in the middle of a trade.
const SET_AFTER: Duration = Duration::from_millis(700);

/// A scenario: how wrong both clocks are at first, and what one is set to in the middle of a trade.
#[derive(Clone, Copy, Debug)]
struct Play {
    gateway: Seconds,
    provider: Seconds,
    set: Option<(Side, Seconds)>,
    restarts: bool,
    turn: u32,
}

const fn wrong(gateway: Seconds, provider: Seconds) -> Play {
    Play { gateway, provider, set: None, restarts: false, turn: 0 }
}

const fn set(side: Side, to: Seconds, restarts: bool) -> Play {
    Play { gateway: 0, provider: 0, set: Some((side, to)), restarts, turn: 0 }
}

const ALL: [Play; 12] = [
    wrong(WRONG, 0),
    wrong(-WRONG, 0),
    wrong(0, WRONG),
    wrong(0, -WRONG),
    wrong(WRONG, -WRONG),
    wrong(-HOUR, HOUR),
    set(Side::Gateway, -HOUR, false),
    set(Side::Provider, -HOUR, false),
    set(Side::Gateway, HOUR, false),
    set(Side::Provider, HOUR, false),
    set(Side::Gateway, -HOUR, true),
    set(Side::Provider, -HOUR, true),
];

/// How often each is played in the full form: 50 and more in all.
const TURNS: u32 = 5;

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, provider, .. } = self;
        write!(f, "clocks wrong by {gateway:+} s (gateway) and {provider:+} s (provider)")?;
        if let Some((side, to)) = self.set {
            write!(f, ", the {side}'s set to {to:+} s in a trade")?;
        }
        if self.restarts {
            f.write_str(" while it is started again")?;
        }
        write!(f, ", turn {}", self.turn)
    }
}

#[actix_web::test]
async fn deadlines_are_the_chains_whatever_the_clocks_show() -> anyhow::Result<()> {
    let turns = Form::from_env().runs(1, TURNS)?;
    let plays: Vec<Play> =
        ALL.iter().flat_map(|play| (0..turns).map(|turn| Play { turn, ..*play })).collect();
    let tally = Tally::default();
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| {
        let found = play_one(play).await?;
        tally.add(found);
        Ok(format!("{} of {} answered, slowest {:.1?}", found.answered, found.asked, found.slowest))
    })
    .await?;
    tally.report("clocks wrong by ±120 s and ±1 h, set by ±1 h in a trade, before a restart too", "")
}

async fn play_one(play: &Play) -> anyhow::Result<Found> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let file = |side: Side| world.home().join(format!("{side}.skew"));
    let (ours, theirs) = (file(Side::Gateway), file(Side::Provider));
    let shows = |file: &std::path::Path, seconds: Seconds| std::fs::write(file, (seconds * 1000).to_string());
    shows(&ours, play.gateway)?;
    shows(&theirs, play.provider)?;
    let (our_path, their_path) = (ours.display().to_string(), theirs.display().to_string());
    let gateway = [("CLOCK_SKEW_FILE", our_path.as_str())];
    let provider = [("CLOCK_SKEW_FILE", their_path.as_str())];
    let (gateway, provider) = (RoleSpec::gateway().with(&gateway), RoleSpec::provider().with(&provider));
    let mut scene = Scene::start_in(world, &gateway, &provider).await?;
    scene
        .play(async |scene: &mut Scene| {
            ask_well(scene, 0).await?;
            scene.backend.set_token_delay(Duration::from_millis(60 * u64::from(play.turn % 4 + 1)));
            let (address, url) = watch::channel(scene.gateway.url().await?);
            let app = scene.world.app.clone();
            let asking = ask(&app, &url, 1);
            let setting = async {
                SystemClock.sleep(SET_AFTER).await;
                let Some((side, to)) = play.set else { return Ok(Instant::now()) };
                shows(if side == Side::Gateway { &ours } else { &theirs }, to)?;
                if play.restarts && side == Side::Gateway {
                    scene.gateway.process.restart(&[])?;
                    address.send_replace(scene.gateway.url().await?);
                } else if play.restarts {
                    scene.provider.process.restart(&[])?;
                    scene.provider.started().await?;
                }
                anyhow::Ok(Instant::now())
            };
            let ((reply, told), set) = futures_util::future::try_join(asking, setting).await?;
            ask_well(scene, 2).await?;
            let jobs = closed(scene, 3).await?;
            // A clock that is wrong, or is set, loses nobody an answer; a restart may.
            ensure!(reply.is_answer() || play.restarts, "{}: {}", reply.status, reply.body);
            Ok(Found {
                asked: 3,
                answered: 2 + usize::from(reply.is_answer()),
                posts: 1,
                claims: most_claims(&jobs),
                slowest: told.saturating_duration_since(set),
                notes: 0,
            })
        })
        .await
}
