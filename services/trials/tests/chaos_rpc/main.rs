//! A chain endpoint that goes wrong in twelve ways, each at one request in five, for both roles: every job ends, nothing
//! is posted twice, nothing is burned, and the books are exact.
//!
//! `CHAOS=full` plays 100 jobs of each, `CHAOS_SEED=n` throws other dice, `CHAOS_ONLY=Hang` plays only the faults whose
//! names hold that.

mod hostile;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt};
use t4t_clock::{Clock, SystemClock, timeout};
use t4t_testkit::chaos::{Form, Row, seed};
use t4t_testkit::eventually;
use t4t_testkit::processes::{App, ECHO, PATIENCE, Question, Reply, RoleSpec, Scene, World, WorldConfig};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};
use url::Url;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// The number of this row in the table.
const ROW: u8 = 2;

/// Jobs of each scenario, in the short and the full form.
const JOBS: (u32, u32) = (5, 100);

/// Jobs asked at once.
const AT_ONCE: usize = 5;

/// Seconds that a provider has, and that a job may take beyond that.
const DEADLINE_SECONDS: u64 = 120;
const GRACE_SECONDS: u64 = 60;

/// Requests that go wrong, of one.
const RATE: f64 = 0.2;

/// Transactions that are answered wrongly, of one: there are few of them.
const RATE_OF_SENDS: f64 = 0.5;

/// How long a job may take from its question to its end.
const LIMIT: Duration = Duration::from_secs(240);

#[actix_web::test]
async fn every_job_ends_and_the_books_are_exact_whatever_the_endpoint_does() -> anyhow::Result<()> {
    let seed = seed()?;
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let jobs = Form::from_env().runs(JOBS.0, JOBS.1)? as usize;
    let plays = RpcFault::ALL.map(|fault| Play { fault, seed, jobs });
    let plays: Vec<Play> =
        plays.into_iter().filter(|play| format!("{:?}", play.fault).contains(&only)).collect();
    let all = Mutex::new(Found::default());
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| {
        let (found, said) = play_with(play).await?;
        all.lock().unwrap_or_else(PoisonError::into_inner).add(&found);
        Ok(said)
    })
    .await?;
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tried = format!("chain endpoint: {} faults, 20 % of requests, {jobs} jobs each", plays.len());
    Row::new(ROW, tried, plays.len() as u64, all.said()).report()
}

/// A scenario.
struct Play {
    fault: RpcFault,
    seed: u64,
    jobs: usize,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with seed {}, {} jobs", self.fault, self.seed, self.jobs)
    }
}

/// What scenarios found.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    asked: usize,
    answered: usize,
    /// Jobs on the chain, all of which ended.
    jobs: usize,
    faults: u64,
    /// From the question until the app was told.
    longest: Duration,
    hangs: usize,
}

impl Found {
    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.jobs += other.jobs;
        self.faults += other.faults;
        self.longest = self.longest.max(other.longest);
        self.hangs += other.hangs;
    }

    fn said(&self) -> String {
        format!(
            "{} of {} told, {} answered; {} jobs, all ended; 0 double posts, 0 slashed, {} hangs beyond the deadline + 60 \
             s; longest from question to end {:.1} s; {} faults",
            self.asked,
            self.asked,
            self.answered,
            self.jobs,
            self.hangs,
            self.longest.as_secs_f64(),
            self.faults
        )
    }
}

/// The endpoints of a process: one that goes wrong, and for a lagging one an unreliable one before it, so that both are
/// asked.
struct Endpoints(Vec<RpcProxy>);

impl Endpoints {
    async fn start(fault: RpcFault, upstream: &Url, seed: u64) -> anyhow::Result<Self> {
        let count = if fault == RpcFault::Lagging { 2 } else { 1 };
        let mut proxies = Vec::new();
        for number in 0..count {
            proxies.push(RpcProxy::start(upstream.clone(), seed + number).await?);
        }
        Ok(Self(proxies))
    }

    fn urls(&self) -> String {
        self.0.iter().map(|proxy| proxy.url().to_string()).collect::<Vec<_>>().join(",")
    }

    fn go_wrong(&self, fault: RpcFault) {
        match &self.0[..] {
            [first, second] => {
                first.set(RpcFault::ServerError, RATE);
                second.set(fault, 1.0);
            }
            proxies => {
                let is_of_sends =
                    matches!(fault, RpcFault::AlreadyKnown | RpcFault::NonceTooLow | RpcFault::Underpriced);
                let rate = if is_of_sends { RATE_OF_SENDS } else { RATE };
                proxies.iter().for_each(|proxy| proxy.set(fault, rate));
            }
        }
    }

    fn injected(&self) -> u64 {
        self.0.iter().map(RpcProxy::injected).sum()
    }
}

async fn play_with(play: &Play) -> anyhow::Result<(Found, String)> {
    let Play { fault, seed, jobs: asked } = *play;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let ours = Endpoints::start(fault, &world.anvil.rpc_url(), seed).await?;
    let theirs = Endpoints::start(fault, &world.anvil.rpc_url(), seed + 1000).await?;
    let (our_urls, their_urls) = (ours.urls(), theirs.urls());
    let deadline = DEADLINE_SECONDS.to_string();
    let gateway =
        [("GNOSIS_RPC_URL", our_urls.as_str()), ("T4T_DEFAULT_DEADLINE_SECONDS", deadline.as_str())];
    let provider = [("GNOSIS_RPC_URL", their_urls.as_str()), ("T4T_MAX_CONCURRENT_JOBS", "5")];
    let (gateway, provider) = (RoleSpec::gateway().with(&gateway), RoleSpec::provider().with(&provider));
    let mut scene = Scene::start_in(world, &gateway, &provider).await?;
    scene
        .play(async |scene: &mut Scene| {
            let before = warm_up(scene).await?;
            ours.go_wrong(fault);
            theirs.go_wrong(fault);
            let replies = ask_all(scene, asked).await?;
            let jobs = scene.ledger().closed(LIMIT).await?;
            let jobs = &jobs[before..];
            ensure!(jobs.len() <= asked, "{asked} requests, one provider, and {} jobs", jobs.len());
            ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
            let paid = jobs.iter().filter(|job| !job.paid.is_zero()).count();
            let answered = replies.iter().filter(|(reply, _)| reply.is_answer()).count();
            ensure!(paid >= answered, "{answered} answers and only {paid} payments");
            let faults = ours.injected() + theirs.injected();
            ensure!(faults > 0, "nothing went wrong");
            let longest = replies.iter().map(|(_, took)| *took).max().unwrap_or_default();
            let late = Duration::from_secs(DEADLINE_SECONDS + GRACE_SECONDS);
            let hangs = replies.iter().filter(|(_, took)| *took > late).count();
            ensure!(hangs == 0, "{hangs} requests took longer than {late:?}, the longest {longest:?}");
            let found = Found { asked, answered, jobs: jobs.len(), faults, longest, hangs };
            let error = replies
                .into_iter()
                .find_map(|(reply, _)| reply.error)
                .map_or_else(String::new, |error| format!(" ({error})"));
            let said = format!(
                "{answered} answered and {paid} paid of {asked}{error}, longest {longest:.1?}, {faults} faults"
            );
            Ok((found, said))
        })
        .await
}

/// Waits until a request is answered; how many jobs that took.
async fn warm_up(scene: &mut Scene) -> anyhow::Result<usize> {
    let question = Question::new(ECHO, "is all well?");
    eventually(PATIENCE, "an answer before anything goes wrong", async || {
        scene.ask(&question).await.ok()?.is_answer().then_some(())
    })
    .await?;
    Ok(scene.closed().await?.len())
}

async fn ask_all(scene: &mut Scene, jobs: usize) -> anyhow::Result<Vec<(Reply, Duration)>> {
    let url = scene.gateway.url().await?;
    let asked = (0..jobs).map(|number| ask(scene.world.app.clone(), url.clone(), number));
    futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await
}

/// Asks until there is an answer or a clean error that is not worth another try; how long that took.
async fn ask(app: App, url: Url, number: usize) -> anyhow::Result<(Reply, Duration)> {
    let (text, key) = (format!("question {number}"), format!("key-{number}"));
    let question = Question::new(ECHO, &text).keyed(&key);
    let began = Instant::now();
    let asking = async {
        loop {
            let reply = app.ask(&url, &question).await?;
            let is_told_to_come_back = matches!(reply.status, 503 | 504);
            if reply.is_answer() || (reply.is_clean_error() && !is_told_to_come_back) {
                return anyhow::Ok(reply);
            }
            SystemClock.sleep(Duration::from_secs(1)).await;
        }
    };
    let reply = timeout(&SystemClock, LIMIT, asking).await.ok().context("the app was never told")??;
    Ok((reply, began.elapsed()))
}
