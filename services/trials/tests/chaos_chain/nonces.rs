//! Transactions that no block takes, that the pool forgets, whose place somebody else takes.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use t4t_chain::Fees;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, PATIENCE, Process, Reply, RoleSpec, Scene, World, WorldConfig};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};
use t4t_types::{Address, TxHash};

use crate::T4T;
use crate::asking::{self, pause};
use crate::chain::{Chain, HIGH, Signed, hex_of};
use crate::dice::Dice;

const GWEI: u128 = 1_000_000_000;

/// How long until all jobs have ended and the books are right.
const CLOSED_WITHIN: Duration = Duration::from_secs(240);

/// Time between blocks that are made by hand.
const BLOCK: Duration = Duration::from_secs(1);

/// Time between blocks that are dear: the live chain's, so that the figure is what it is there.
const DEAR_BLOCK: Duration = Duration::from_secs(5);

/// A base fee above what a role's transaction pays, and below what it may be raised to.
const DEAR: u128 = 40 * GWEI;

/// What is left of a block's time once a transaction made in it waits.
const REST_OF_BLOCK: Duration = Duration::from_secs(4);

/// Blocks until a fee is raised at most: three, and two for a machine that is too busy to see them in time.
const RAISED_WITHIN: u64 = 5;

/// Chain seconds until a nonce has its transaction again at most: thirty and what a busy machine takes.
const HEALED_WITHIN: u64 = 60;

/// Blocks that are made dear at most.
const DEAR_BLOCKS: u64 = 12;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Blocks become dearer than the transaction pays, and stay so.
    Dear,
    /// The pool forgets the transaction.
    Dropped,
    /// The pool forgets the first of two.
    Hole,
    /// Another program's transaction takes the place of one that waits.
    Stolen,
    /// Another program's transaction waits at the nonce, pays more, and is mined.
    Taken,
    /// Another program's transaction is counted and then forgotten: the place before ours stays empty.
    Abandoned,
    /// The node says that it knows the transaction, and the pool forgets it.
    SaysKnown,
    /// The node says that another transaction waits at the nonce; half of the time it has taken ours all the same.
    SaysUnderpriced,
    /// The node says that the nonce is used; half of the time it has taken the transaction all the same.
    SaysTooLow,
}

/// Whose wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Provider,
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    kind: Kind,
    role: Role,
    /// Which of the provider's two: the acknowledgement or the claim.
    is_claim: bool,
    /// Blocks that pass before it is done, where that is a choice.
    later: u64,
    seed: u64,
}

/// Everything that can happen to each of the three transactions of a trade.
const CASES: [(Kind, Role, bool); 20] = [
    (Kind::Dear, Role::Gateway, false),
    (Kind::Dear, Role::Provider, false),
    (Kind::Dear, Role::Provider, true),
    (Kind::Dropped, Role::Gateway, false),
    (Kind::Dropped, Role::Provider, false),
    (Kind::Dropped, Role::Provider, true),
    (Kind::Hole, Role::Gateway, false),
    (Kind::Hole, Role::Provider, false),
    (Kind::Stolen, Role::Gateway, false),
    (Kind::Stolen, Role::Provider, false),
    (Kind::Stolen, Role::Provider, true),
    (Kind::Taken, Role::Gateway, false),
    (Kind::Taken, Role::Provider, false),
    (Kind::Abandoned, Role::Gateway, false),
    (Kind::SaysKnown, Role::Gateway, false),
    (Kind::SaysKnown, Role::Provider, false),
    (Kind::SaysKnown, Role::Provider, true),
    (Kind::SaysUnderpriced, Role::Gateway, false),
    (Kind::SaysUnderpriced, Role::Provider, false),
    (Kind::SaysTooLow, Role::Gateway, false),
];

impl Trouble {
    /// The first so many cases.
    pub(crate) fn each(count: usize) -> Vec<Self> {
        let cases = CASES.into_iter().take(count);
        cases.map(|(kind, role, is_claim)| Self { kind, role, is_claim, later: 0, seed: 1 }).collect()
    }

    /// So many scenarios: every case in turn, the rest by dice.
    pub(crate) fn random(seed: u64, count: u32) -> Vec<Self> {
        let cases = CASES.into_iter().cycle().zip(seed..seed + u64::from(count));
        let all = cases.map(|((kind, role, is_claim), seed)| {
            let later = Dice::new(seed).below(4);
            Self { kind, role, is_claim, later, seed }
        });
        all.collect()
    }

    fn apps(&self) -> usize {
        if self.kind == Kind::Hole && self.role == Role::Gateway { 2 } else { 1 }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, role, is_claim, later, seed } = self;
        let which = match (role, is_claim) {
            (Role::Gateway, _) => "payment",
            (Role::Provider, false) => "acknowledgement",
            (Role::Provider, true) => "claim",
        };
        write!(f, "{kind:?}: the {role:?}'s {which}, {later} blocks later (seed {seed})")
    }
}

/// What became of a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Blocks until the fee was raised.
    raised_in: Option<u64>,
    /// Chain seconds until the transaction, or what replaced it, was in a block.
    healed_in: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(blocks) = self.raised_in {
            write!(f, "fee raised after {blocks} blocks, ")?;
        }
        write!(f, "in a block after {} s", self.healed_in)
    }
}

/// What all scenarios found.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<Outcome>);

impl Nonces {
    pub(crate) fn add(&self, end: &Outcome) {
        let mut worst = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        worst.raised_in = worst.raised_in.max(end.raised_in);
        // What is dear waits for its fee, not for its nonce.
        if end.raised_in.is_none() {
            worst.healed_in = worst.healed_in.max(end.healed_in);
        }
    }
}

impl fmt::Display for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { raised_in, healed_in } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let raised_in = raised_in.unwrap_or_default();
        write!(
            f,
            "0 double posts, 0 slashed, books exact; fee raised after {raised_in} blocks of 5 s at most, \
             slowest nonce healed in {healed_in} s of blocks of 1 s"
        )
    }
}

/// Plays a scenario.
pub(crate) async fn play(play: &Trouble) -> anyhow::Result<Outcome> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let proxy = RpcProxy::start(world.anvil.rpc_url(), play.seed).await?;
    let url = proxy.url().to_string();
    let proxied = [("GNOSIS_RPC_URL", url.as_str())];
    let in_trouble = |role| if play.role == role { &proxied[..] } else { &[] };
    let gateway = RoleSpec::gateway().with(in_trouble(Role::Gateway));
    let provider = RoleSpec::provider().with(in_trouble(Role::Provider));
    let mut scene = Scene::start_in(world, &gateway, &provider).await?;
    scene.play(async |scene: &mut Scene| Box::pin(play_in(scene, &proxy, play)).await).await
}

async fn play_in(scene: &mut Scene, proxy: &RpcProxy, play: &Trouble) -> anyhow::Result<Outcome> {
    let chain = Chain::of(&scene.world);
    if play.kind == Kind::Dear {
        // A role knows the live chain's blocks, and how long they take, from the first on.
        scene.world.anvil.set_block_time(Some(DEAR_BLOCK.as_secs())).await?;
    }
    let before = asking::warm_up(scene).await?;
    let calls_before = scene.backend.calls();
    if play.kind == Kind::Dear {
        chain.makes_one().await?;
    }
    scene.world.anvil.stop_mining().await?;
    let from = chain.head().await? + 1;
    let abandoned = match play.kind {
        Kind::Abandoned => Some(abandon(scene, &chain).await?),
        _ => None,
    };
    let url = scene.gateway.url().await?;
    let app = scene.world.app.clone();
    let making = Making { scene, chain: &chain, proxy, play, from, abandoned };
    let asking = asking::all(&app, &url, play.apps());
    let (replies, outcome) = futures_util::future::join(asking, making.trouble()).await;
    let (outcome, replies) = (outcome?, replies?);
    let jobs = scene.ledger().closed(CLOSED_WITHIN).await?;
    judge(play, &jobs[before..], &replies, scene.backend.calls() - calls_before)?;
    if let Some(blocks) = outcome.raised_in {
        ensure!(blocks <= RAISED_WITHIN, "the fee was raised after {blocks} blocks");
    } else {
        ensure!(outcome.healed_in <= HEALED_WITHIN, "in a block after {} s", outcome.healed_in);
    }
    Ok(outcome)
}

fn judge(play: &Trouble, jobs: &[JobEntry], replies: &[Reply], calls: u64) -> anyhow::Result<()> {
    ensure!(jobs.len() == play.apps(), "{} requests and {} jobs: {jobs:?}", play.apps(), jobs.len());
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    ensure!(jobs.iter().all(|job| !job.paid.is_zero()), "answered and not paid: {jobs:?}");
    ensure!(calls == play.apps() as u64, "the backend was asked {calls} times");
    asking::each_has_its_own(replies)
}

/// Counts another program's transaction, which is still in the pool when the gateway starts.
async fn abandon(scene: &mut Scene, chain: &Chain) -> anyhow::Result<TxHash> {
    let nonce = chain.used(scene.gateway.wallet).await?;
    let cheap = Fees { max_fee: 5 * GWEI, max_priority: GWEI };
    let foreign = chain.foreign(&dev_key(0), nonce, cheap);
    chain.send(&hex_of(&foreign.bytes)).await?;
    scene.gateway.process.restart(&[])?;
    scene.gateway.offers(&scene.world, ECHO).await?;
    Ok(foreign.hash)
}

/// A scenario under way.
struct Making<'a> {
    scene: &'a Scene,
    chain: &'a Chain,
    proxy: &'a RpcProxy,
    play: &'a Trouble,
    from: u64,
    abandoned: Option<TxHash>,
}

impl Making<'_> {
    fn wallet(&self) -> Address {
        match self.play.role {
            Role::Gateway => self.scene.gateway.wallet,
            Role::Provider => self.scene.provider.wallet,
        }
    }

    fn process(&self) -> &Process {
        match self.play.role {
            Role::Gateway => &self.scene.gateway.process,
            Role::Provider => &self.scene.provider.process,
        }
    }

    fn key(&self) -> t4t_crypto::WalletKey {
        dev_key(if self.play.role == Role::Gateway { 0 } else { 1 })
    }

    async fn trouble(&self) -> anyhow::Result<Outcome> {
        match self.play.kind {
            Kind::Dear => self.dear().await,
            Kind::Dropped => {
                let target = self.target().await?;
                self.forget_and_heal(target.hash, vec![target]).await
            }
            Kind::Hole => {
                self.paid().await?;
                let both = self.chain.has_waiting(self.wallet(), 2).await?;
                self.forget_and_heal(both[0].hash, both).await
            }
            Kind::Abandoned => {
                let all = self.chain.has_waiting(self.wallet(), 2).await?;
                let ours = all.into_iter().filter(|waiting| Some(waiting.hash) != self.abandoned);
                let ours: Vec<Signed> = ours.collect();
                self.forget_and_heal(self.abandoned.unwrap_or(ours[0].hash), ours).await
            }
            Kind::Stolen => self.stolen().await,
            Kind::Taken => self.taken().await,
            Kind::SaysKnown => self.said_to_be_known().await,
            Kind::SaysUnderpriced => self.lied_to(RpcFault::Underpriced).await,
            Kind::SaysTooLow => self.lied_to(RpcFault::NonceTooLow).await,
        }
    }

    /// Where the provider's transactions are meant, makes the block with the payment.
    async fn paid(&self) -> anyhow::Result<()> {
        if self.play.role == Role::Provider {
            self.chain.has_waiting(self.scene.gateway.wallet, 1).await?;
            self.scene.world.anvil.mine(1).await?;
        }
        Ok(())
    }

    /// The transaction that is meant, once it waits.
    async fn target(&self) -> anyhow::Result<Signed> {
        self.paid().await?;
        // The answer does not wait for the acknowledgement's block.
        let count = if self.play.is_claim { 2 } else { 1 };
        let mut waiting = self.chain.has_waiting(self.wallet(), count).await?;
        Ok(waiting.swap_remove(count - 1))
    }

    async fn resume(&self) -> anyhow::Result<()> {
        self.scene.world.anvil.set_block_time(Some(1)).await
    }

    /// Lets the chosen number of blocks pass without this transaction, which is forgotten each time it comes back.
    async fn pass_by(&self, hash: TxHash) -> anyhow::Result<()> {
        self.chain.drop_from_pool(hash).await?;
        for _ in 0..self.play.later {
            pause(BLOCK).await;
            self.chain.drop_from_pool(hash).await?;
            self.scene.world.anvil.mine(1).await?;
        }
        Ok(())
    }

    async fn forget_and_heal(&self, hash: TxHash, awaited: Vec<Signed>) -> anyhow::Result<Outcome> {
        let at = self.chain.now().await?;
        self.pass_by(hash).await?;
        self.resume().await?;
        self.healed(at, &awaited).await
    }

    /// Waits until these calls are in blocks, at whatever nonce.
    async fn healed(&self, at: u64, awaited: &[Signed]) -> anyhow::Result<Outcome> {
        let mut last = 0;
        for one in awaited {
            let what = format!("transaction {} of nonce {} in a block", one.hash, one.nonce);
            let block = eventually(PATIENCE, &what, async || {
                self.chain.included(self.wallet(), &one.input, self.from).await.ok().flatten()
            });
            last = last.max(self.chain.made_at(block.await?).await?);
        }
        Ok(Outcome { raised_in: None, healed_in: last.saturating_sub(at) })
    }

    async fn dear(&self) -> anyhow::Result<Outcome> {
        let target = self.target().await?;
        let at = self.chain.now().await?;
        let mut raised_in = None;
        pause(REST_OF_BLOCK).await;
        for block in 1..=DEAR_BLOCKS {
            self.chain.mine_at(DEAR).await?;
            // As long as a block lasts, a higher fee belongs to it.
            pause(DEAR_BLOCK).await;
            let waiting = self.chain.waiting(self.wallet()).await?;
            let is_raised =
                waiting.iter().any(|other| other.nonce == target.nonce && other.hash != target.hash);
            if is_raised && raised_in.is_none() {
                raised_in = Some(block);
            }
            if self.chain.used(self.wallet()).await? > target.nonce {
                break;
            }
        }
        self.resume().await?;
        let healed = self.healed(at, &[target]).await?;
        Ok(Outcome { raised_in: Some(raised_in.unwrap_or(DEAR_BLOCKS)), ..healed })
    }

    async fn stolen(&self) -> anyhow::Result<Outcome> {
        let target = self.target().await?;
        let at = self.chain.now().await?;
        let foreign = self.chain.foreign(&self.key(), target.nonce, HIGH);
        let foreign = hex_of(&foreign.bytes);
        if self.chain.send(&foreign).await.is_err() {
            self.chain.drop_from_pool(target.hash).await?;
            self.chain.send(&foreign).await?;
        }
        self.scene.world.anvil.mine(1).await?;
        ensure!(self.chain.used(self.wallet()).await? > target.nonce, "the nonce was not taken");
        self.resume().await?;
        self.healed(at, &[target]).await
    }

    /// Another program is there first: the role's own transaction is refused.
    async fn taken(&self) -> anyhow::Result<Outcome> {
        let nonce = self.chain.used(self.wallet()).await?;
        let foreign = self.chain.foreign(&self.key(), nonce, HIGH);
        let at = self.chain.now().await?;
        self.chain.send(&hex_of(&foreign.bytes)).await?;
        self.paid().await?;
        let refused = "a node did not take a transaction";
        eventually(PATIENCE, "a refused transaction", async || {
            self.process().log().contains(refused).then_some(())
        })
        .await?;
        self.resume().await?;
        let healed = eventually(PATIENCE, "another transaction of the wallet", async || {
            (self.chain.used(self.wallet()).await.ok()? > nonce + 1).then_some(())
        });
        healed.await?;
        Ok(Outcome { raised_in: None, healed_in: self.chain.now().await?.saturating_sub(at) })
    }

    /// The node says that it knows what it has forgotten.
    async fn said_to_be_known(&self) -> anyhow::Result<Outcome> {
        self.proxy.set(RpcFault::AlreadyKnown, 1.0);
        let target = self.target().await?;
        let healed = self.forget_and_heal(target.hash, vec![target]).await?;
        self.proxy.heal();
        Ok(healed)
    }

    /// The node refuses, and half of the time it has taken the transaction all the same.
    async fn lied_to(&self, fault: RpcFault) -> anyhow::Result<Outcome> {
        let nonce = self.chain.used(self.wallet()).await?;
        self.proxy.set(fault, 1.0);
        self.paid().await?;
        let at = self.chain.now().await?;
        self.resume().await?;
        let sent = if self.play.role == Role::Provider { 2 } else { 1 };
        eventually(CLOSED_WITHIN, "the wallet's transactions in blocks", async || {
            (self.chain.used(self.wallet()).await.ok()? >= nonce + sent).then_some(())
        })
        .await?;
        self.proxy.heal();
        Ok(Outcome { raised_in: None, healed_in: self.chain.now().await?.saturating_sub(at) })
    }
}
