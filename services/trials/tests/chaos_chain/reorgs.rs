//! Blocks that are taken back just after they mattered, and what becomes of their transactions.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_testkit::backend::Behaviour;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{Reply, RoleSpec, Scene, SceneSpec};
use t4t_types::{Address, TxHash};

use crate::T4T;
use crate::asking::{self, pause};
use crate::books::Books;
use crate::chain::{Chain, Sign, Signed};
use crate::dice::Dice;

/// How long until all jobs have ended and the books are right.
const CLOSED_WITHIN: Duration = Duration::from_secs(240);

/// How long a row may say paid when the chain does not, on a busy machine.
const ROSY_AT_MOST: Duration = Duration::from_secs(20);

/// Time between blocks that are made by hand.
const BLOCK: Duration = Duration::from_secs(1);

/// With it an answer takes three blocks.
const TOKEN_DELAY: Duration = Duration::from_millis(300);

/// Blocks between what was before and what may be taken back.
const APART: u64 = 8;

/// What has just happened on the chain when it goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Post,
    Ack,
    Claim,
    /// The provider's claim of nothing.
    Refusal,
    /// The gateway's cancellation, while the provider is dead.
    Cancel,
    /// The allowance of the gateway's first payment.
    Approval,
}

/// What becomes of the transactions in the blocks that are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All are in the last of the new blocks, in their order.
    Moved,
    /// All are in the last of the new blocks, the provider's before the gateway's.
    Shuffled,
    /// The node gets them again after two blocks.
    Late,
    /// Nobody has them any more but who signed them.
    Gone,
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reorg {
    moment: Moment,
    depth: u64,
    /// Blocks made on top before they are taken back; fewer than the depth.
    wait: u64,
    fate: Fate,
    /// Whether a stranger's job comes before ours in the new blocks, so that ours gets another id.
    stranger: bool,
    /// Requests at once.
    apps: usize,
    seed: u64,
}

const FATES: [Fate; 4] = [Fate::Gone, Fate::Moved, Fate::Shuffled, Fate::Late];

impl Reorg {
    /// Each of the three moments of a job that goes well, at each depth; a refusal and a cancellation.
    pub(crate) fn every_depth() -> Vec<Self> {
        let moments = [Moment::Post, Moment::Ack, Moment::Claim];
        let all = moments.into_iter().enumerate().flat_map(|(number, moment)| {
            (1..=5usize).map(move |depth| Self {
                moment,
                depth: depth as u64,
                wait: [0, 1, 0, 2, 4][depth - 1],
                fate: FATES[(number + depth) % FATES.len()],
                stranger: (number + depth).is_multiple_of(2),
                apps: if depth >= 4 { 2 } else { 1 },
                seed: 0,
            })
        });
        let ends_badly = [(Moment::Refusal, Fate::Late), (Moment::Cancel, Fate::Gone)];
        let ends_badly = ends_badly.into_iter().map(|(moment, fate)| Self {
            moment,
            depth: 3,
            wait: 1,
            fate,
            stranger: false,
            apps: 1,
            seed: 0,
        });
        all.chain(ends_badly).collect()
    }

    /// So many scenarios by dice.
    pub(crate) fn random(seed: u64, count: u32) -> Vec<Self> {
        (seed..seed + u64::from(count)).map(Self::of_seed).collect()
    }

    fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let moments = [
            Moment::Post,
            Moment::Post,
            Moment::Ack,
            Moment::Ack,
            Moment::Claim,
            Moment::Claim,
            Moment::Claim,
            Moment::Refusal,
            Moment::Cancel,
            Moment::Approval,
        ];
        let moment = dice.one_of(&moments);
        let depth = 1 + dice.below(5);
        let is_alone = matches!(moment, Moment::Cancel | Moment::Approval);
        Self {
            moment,
            depth,
            wait: dice.below(depth),
            fate: dice.one_of(&FATES),
            stranger: !is_alone && dice.below(2) == 0,
            apps: if is_alone { 1 } else { 1 + usize::from(dice.below(3) == 0) },
            seed,
        }
    }

    fn sign(&self, gateway: Address) -> Sign {
        match self.moment {
            Moment::Post => Sign::Posted,
            Moment::Ack => Sign::Acked,
            Moment::Claim | Moment::Refusal => Sign::Claimed,
            Moment::Cancel => Sign::Cancelled,
            Moment::Approval => Sign::Approval(gateway),
        }
    }
}

impl fmt::Display for Reorg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, depth, wait, fate, stranger, apps, seed } = self;
        let stranger = if *stranger { ", a stranger's job before" } else { "" };
        write!(
            f,
            "{moment:?}, depth {depth}, {wait} blocks on top, {fate:?}{stranger}, {apps} apps (seed {seed})"
        )
    }
}

/// What became of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What was said to the first app.
    told: String,
    /// Time from the reorganisation until the last job had ended and the app was told.
    ended_in: Duration,
    /// How long a row said paid and the chain did not.
    rosy: Duration,
    calls: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told, ended_in, rosy, calls } = self;
        write!(f, "{told}, ended in {ended_in:.1?}, said paid in error for {rosy:.1?}, {calls} backend calls")
    }
}

/// What all scenarios found.
#[derive(Debug, Default)]
pub(crate) struct Reorgs(Mutex<(Duration, Duration)>);

impl Reorgs {
    pub(crate) fn add(&self, end: &Outcome) {
        let mut worst = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *worst = (worst.0.max(end.ended_in), worst.1.max(end.rosy));
    }
}

impl fmt::Display for Reorgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ended_in, rosy) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(
            f,
            "0 double posts, 0 slashed, books exact; slowest end {:.1} s after it, a job shown as paid that was \
             not for {:.1} s at most",
            ended_in.as_secs_f64(),
            rosy.as_secs_f64()
        )
    }
}

/// Plays a scenario.
pub(crate) async fn play(play: &Reorg) -> anyhow::Result<Outcome> {
    let gateway = [("T4T_DEFAULT_DEADLINE_SECONDS", "120")];
    let spec = SceneSpec { gateway: RoleSpec::gateway().with(&gateway), ..SceneSpec::new(T4T) };
    let mut scene = Scene::start(spec).await?;
    scene.play(async |scene: &mut Scene| Box::pin(play_in(scene, play)).await).await
}

async fn play_in(scene: &mut Scene, play: &Reorg) -> anyhow::Result<Outcome> {
    let chain = Chain::of(&scene.world);
    if play.stranger {
        chain.welcome_stranger().await?;
    }
    let mut before = 0;
    let mut from = 0;
    // The allowance is given at the start.
    if play.moment != Moment::Approval {
        before = asking::warm_up(scene).await?;
        scene.world.anvil.mine(APART).await?;
        from = chain.head().await? + 1;
    }
    let calls_before = scene.backend.calls();
    prepare(scene, play)?;

    let url = scene.gateway.url().await?;
    let app = scene.world.app.clone();
    let whole = async {
        let asking = asking::all(&app, &url, play.apps);
        let (replies, struck) = futures_util::future::join(asking, strike(scene, &chain, play, from)).await;
        let (struck, replies) = (struck?, replies?);
        let jobs = scene.ledger().closed(CLOSED_WITHIN).await?;
        anyhow::Ok((replies, struck.elapsed(), jobs))
    };
    let (end, rosy) = Books::of(scene).watched(whole).await;
    let (replies, ended_in, jobs) = end?;

    let calls = scene.backend.calls() - calls_before;
    judge(scene, play, &jobs[before..], &replies, calls)?;
    ensure!(rosy <= ROSY_AT_MOST, "a job was shown as paid for {rosy:.1?} that was not");
    let told = if replies.iter().all(Reply::is_answer) { "answered" } else { "clean error" };
    Ok(Outcome { told: told.into(), ended_in, rosy, calls })
}

fn prepare(scene: &mut Scene, play: &Reorg) -> anyhow::Result<()> {
    match play.moment {
        Moment::Ack => scene.backend.set_token_delay(TOKEN_DELAY),
        Moment::Refusal => scene.backend.set(Behaviour::Refuse(500, "no".into())),
        Moment::Cancel => scene.provider.process.kill9()?,
        _ => {}
    }
    Ok(())
}

/// Waits for the moment and takes it back.
async fn strike(scene: &Scene, chain: &Chain, play: &Reorg, from: u64) -> anyhow::Result<Instant> {
    let anvil = &scene.world.anvil;
    let block = chain.sees(play.sign(scene.gateway.wallet), from).await?;
    anvil.stop_mining().await?;
    let mut head = chain.head().await?;
    while head < block + play.wait {
        pause(BLOCK).await;
        anvil.mine(1).await?;
        head = chain.head().await?;
    }
    // A busy machine may have seen it late.
    let depth = play.depth.max(head - block + 1);
    let mut taken = Vec::new();
    for number in head + 1 - depth..=head {
        taken.extend(chain.block(number).await?);
    }
    let began = Instant::now();
    apply(scene, chain, play, depth, &taken).await?;
    Ok(began)
}

async fn apply(
    scene: &Scene,
    chain: &Chain,
    play: &Reorg,
    depth: u64,
    taken: &[Signed],
) -> anyhow::Result<()> {
    let mut given_back = Vec::new();
    for hash in order(play.fate, taken, scene.provider.wallet) {
        given_back.push(chain.bytes_of(hash).await?);
    }
    let mut blocks = Vec::new();
    if play.stranger {
        blocks.push((chain.strangers_post(scene.provider.wallet).await?, 0));
    }
    if matches!(play.fate, Fate::Moved | Fate::Shuffled) {
        blocks.extend(given_back.iter().map(|bytes| (bytes.clone(), depth - 1)));
    }
    chain.reorganise(depth, &blocks).await?;
    scene.world.anvil.set_block_time(Some(1)).await?;
    if play.fate == Fate::Late {
        pause(BLOCK * 2).await;
        for bytes in given_back {
            // A role that was quicker has sent it already.
            let _known = chain.send(&bytes).await;
        }
    }
    Ok(())
}

/// The order in which transactions come back; those of one wallet keep theirs.
fn order(fate: Fate, taken: &[Signed], provider: Address) -> Vec<TxHash> {
    let mut taken = taken.to_vec();
    if fate == Fate::Shuffled {
        taken.sort_by_key(|transaction| transaction.from != provider);
    }
    taken.iter().map(|transaction| transaction.hash).collect()
}

fn judge(
    scene: &Scene,
    play: &Reorg,
    jobs: &[JobEntry],
    replies: &[Reply],
    calls: u64,
) -> anyhow::Result<()> {
    let ours: Vec<&JobEntry> = jobs.iter().filter(|job| job.client == scene.gateway.wallet).collect();
    ensure!(
        ours.len() == play.apps,
        "{} requests, one provider, and {} jobs: {ours:?}",
        play.apps,
        ours.len()
    );
    if play.moment == Moment::Cancel {
        ensure!(replies.iter().all(Reply::is_clean_error), "answered by nobody: {replies:?}");
        return Ok(());
    }
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    if play.moment == Moment::Refusal {
        ensure!(replies.iter().all(Reply::is_clean_error), "answered by nobody: {replies:?}");
        ensure!(ours.iter().all(|job| job.paid.is_zero()), "paid for nothing: {ours:?}");
        return Ok(());
    }
    asking::each_has_its_own(replies)?;
    ensure!(ours.iter().all(|job| !job.paid.is_zero()), "answered and not paid: {ours:?}");
    // Under a new id a job whose answer is not there yet is begun anew; an answer that is there is never made again.
    let most = play.apps as u64 * if play.stranger { 2 } else { 1 };
    ensure!(calls <= most, "the backend was asked {calls} times");
    Ok(())
}
