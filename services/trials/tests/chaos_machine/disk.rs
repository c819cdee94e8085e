//! A disk that fills up, takes no writes or is held by somebody else, in the middle of a trade, and then is well again.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::{Connection, SqliteConnection};
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::chaos::{Form, seed};
use t4t_testkit::processes::{ECHO, Question, RoleSpec, Scene, World, WorldConfig};
use tokio::sync::watch;

use super::tally::{Dice, Found, Tally, most_claims};
use super::trade::{Side, ask, ask_well, closed};
use super::{SIDE_BY_SIDE, T4T};

/// Scenarios of each kind in the short and the full form.
const RUNS: (u32, u32) = (2, 20);

/// The trouble begins at most so long after the question.
const LATEST: Duration = Duration::from_millis(1500);

/// How long it lasts at most: shorter than a provider may take to acknowledge.
const LONGEST: Duration = Duration::from_secs(8);

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no room.
    Full,
    /// Nothing can be written.
    ReadOnly,
    /// Another program holds the database's write lock.
    Busy,
}

/// A scenario.
struct Trouble {
    kind: Kind,
    side: Side,
    after: Duration,
    lasts: Duration,
    pace: Duration,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, side, after, lasts, pace } = self;
        write!(f, "{side}'s disk {kind:?} after {after:?} for {lasts:?}, {pace:?} a token")
    }
}

impl Trouble {
    fn new(kind: Kind, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let side = if seed.is_multiple_of(2) { Side::Gateway } else { Side::Provider };
        let after = dice.time(LATEST);
        let lasts = Duration::from_secs(1) + dice.time(LONGEST - Duration::from_secs(1));
        Self { kind, side, after, lasts, pace: dice.time(Duration::from_millis(200)) }
    }
}

/// Builds the library that stands between a process and its disk.
fn library() -> anyhow::Result<&'static Path> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built);
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos_machine/disk.c");
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "disk-{}-{:?}.so",
        std::process::id(),
        std::thread::current().id()
    ));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status =
        Command::new(compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&built).arg(source).status();
    ensure!(status.context("a C compiler is needed, as for SQLite")?.success(), "{source} can't be compiled");
    Ok(BUILT.get_or_init(|| built))
}

/// The disk of one side's folder.
pub(crate) struct Disk {
    variables: Vec<(&'static str, String)>,
    full: PathBuf,
    read_only: PathBuf,
    free: PathBuf,
}

impl Disk {
    /// A disk that is well, for a side of a world.
    pub(crate) fn new(world: &World, side: Side) -> anyhow::Result<Self> {
        let home = world.home();
        let (full, read_only, free) = (home.join("full"), home.join("read-only"), home.join("free"));
        let shown = |path: &Path| path.display().to_string();
        let variables = vec![
            ("LD_PRELOAD", shown(library()?)),
            ("DISK_FOLDER", shown(&home.join(side.to_string()))),
            ("DISK_FULL", shown(&full)),
            ("DISK_READONLY", shown(&read_only)),
            ("DISK_FREE_FILE", shown(&free)),
        ];
        Ok(Self { variables, full, read_only, free })
    }

    pub(crate) fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    pub(crate) fn is(&self, kind: Kind) -> anyhow::Result<()> {
        match kind {
            Kind::Full => std::fs::write(&self.full, [])?,
            Kind::ReadOnly => std::fs::write(&self.read_only, [])?,
            Kind::Busy => {}
        }
        Ok(())
    }

    /// The system says from now on that only so much is left.
    pub(crate) fn has_left(&self, bytes: u64) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.free, bytes.to_string())?)
    }

    pub(crate) fn is_well(&self) {
        for file in [&self.full, &self.read_only, &self.free] {
            // Not there: it was well.
            let _gone = std::fs::remove_file(file);
        }
    }
}

/// A scene with a disk that can go wrong under one side.
pub(crate) async fn scene_on(side: Side) -> anyhow::Result<(Scene, Disk)> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let disk = Disk::new(&world, side)?;
    let variables = disk.variables();
    let (mut gateway, mut provider) = (RoleSpec::gateway(), RoleSpec::provider());
    match side {
        Side::Gateway => gateway = gateway.with(&variables),
        Side::Provider => provider = provider.with(&variables),
    }
    let scene = Scene::start_in(world, &gateway, &provider).await?;
    drop(variables);
    Ok((scene, disk))
}

#[actix_web::test]
async fn a_disk_that_fills_up_costs_nothing_and_work_goes_on_by_itself() -> anyhow::Result<()> {
    play_all(Kind::Full, "the disk fills up in a trade").await
}

#[actix_web::test]
async fn a_disk_that_takes_no_writes_costs_nothing_and_work_goes_on_by_itself() -> anyhow::Result<()> {
    play_all(Kind::ReadOnly, "the disk becomes read-only in a trade").await
}

#[actix_web::test]
async fn a_database_that_somebody_holds_is_waited_for() -> anyhow::Result<()> {
    play_all(Kind::Busy, "another program holds the database in a trade (SQLITE_BUSY)").await
}

async fn play_all(kind: Kind, tried: &str) -> anyhow::Result<()> {
    let runs = u64::from(Form::from_env().runs(RUNS.0, RUNS.1)?);
    let seed = seed()?;
    let plays: Vec<Trouble> = (seed..seed + runs).map(|seed| Trouble::new(kind, seed)).collect();
    let tally = Tally::default();
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |trouble: &Trouble| {
        let found = play(trouble).await?;
        tally.add(found);
        Ok(format!(
            "{} of {} answered, told {:.1?} after its end",
            found.answered, found.asked, found.slowest
        ))
    })
    .await?;
    tally.report(tried, "backend calls")
}

async fn play(trouble: &Trouble) -> anyhow::Result<Found> {
    let (mut scene, disk) = scene_on(trouble.side).await?;
    scene
        .play(async |scene: &mut Scene| {
            ask_well(scene, 0).await?;
            scene.backend.set_token_delay(trouble.pace);
            let (_alive, url) = watch::channel(scene.gateway.url().await?);
            let app = scene.world.app.clone();
            let asking = ask(&app, &url, 1);
            let (told, ended) =
                futures_util::future::try_join(asking, happens(scene, trouble, &disk)).await?;
            let (reply, told_at) = told;
            let mortal = match trouble.side {
                Side::Gateway => &mut scene.gateway.process,
                Side::Provider => &mut scene.provider.process,
            };
            ensure!(mortal.is_alive(), "the process ended");
            scene.backend.set_token_delay(Duration::ZERO);
            ask_well(scene, 2).await?;
            let jobs = closed(scene, 3).await?;
            let calls = scene.backend.calls();
            ensure!(calls <= 3, "3 requests and {calls} inferences");
            Ok(Found {
                asked: 3,
                answered: 2 + usize::from(reply.is_answer()),
                posts: 1,
                claims: most_claims(&jobs),
                slowest: told_at.saturating_duration_since(ended),
                notes: calls,
            })
        })
        .await
}

/// Lets the trouble come and go; when it went.
async fn happens(scene: &Scene, trouble: &Trouble, disk: &Disk) -> anyhow::Result<Instant> {
    SystemClock.sleep(trouble.after).await;
    if trouble.kind == Kind::Busy {
        let database = match trouble.side {
            Side::Gateway => &scene.gateway.database,
            Side::Provider => &scene.provider.database,
        };
        hold(database, trouble.lasts).await?;
    } else {
        disk.is(trouble.kind)?;
        SystemClock.sleep(trouble.lasts).await;
        disk.is_well();
    }
    Ok(Instant::now())
}

/// Holds a database's write lock for a while.
pub(crate) async fn hold(database: &Path, lasts: Duration) -> anyhow::Result<()> {
    let url = format!("sqlite://{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await?;
    sqlx::query("PRAGMA busy_timeout = 5000").execute(&mut connection).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
    SystemClock.sleep(lasts).await;
    sqlx::query("ROLLBACK").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Asks once, without a key.
pub(crate) fn once(text: &str) -> Question<'_> {
    Question::new(ECHO, text)
}
