//! Keeping a postage batch usable: finding or buying one, and feeding it.
//!
//! The order in which a batch is looked for is version 1's, so that an operator can swap images and keep the batch.

mod journal;
mod memory;
mod outbound;
mod rescue;
mod spending;
mod standing;

use std::path::PathBuf;
use std::time::Duration;

use t4t_types::{Address, BatchId, UnixSeconds};
use tokio::sync::Mutex;
use tracing::{info, warn};

use self::journal::Journal;
use self::memory::Remembered;
pub use self::memory::StampSource;
pub use self::spending::{SpendingLimits, estimate_of};
pub(crate) use self::standing::NO_BATCH;
pub use self::standing::Standing;
use crate::{Bee, StampReceipt, StampState, SwarmError, SwarmTrouble};

const BLOCKS_A_DAY: u128 = SECONDS_A_DAY as u128 / t4t_types::BLOCK_SECONDS as u128;
const SECONDS_A_DAY: i64 = 86_400;
/// From this depth on a mutable batch is large enough: 64 stamps in each of 65,536 buckets, so that an answer, whose chunks
/// fall anywhere, is forgotten after four million others.
const MUTABLE_DEPTH: u8 = 22;
const POLL: Duration = Duration::from_millis(1500);
/// How long a batch that is known and not shown is waited for: after a restart a node shows its batches late, as unusable
/// or not at all.
const HIDDEN_MS: u64 = 3_600_000;
/// The file of what was bought, beside the one that remembers the batch.
const JOURNAL: &str = "postage-spent.json";

/// Which batch to use and how to keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct StampKeeperConfig {
    /// This batch and no other; it is neither topped up nor diluted by the clock.
    pub batch: Option<BatchId>,
    /// Where the batch in use is remembered.
    pub state_file: Option<PathBuf>,
    /// Whether batches may be bought, topped up and diluted.
    pub manage: bool,
    /// Only say what would be done to batches.
    pub dry_run: bool,
    /// The name of batches that are ours.
    pub label: String,
    /// Depth of a batch to buy.
    pub depth: u8,
    /// How long a bought or topped-up batch shall last, in days.
    pub ttl_days: u32,
    /// Below this many days a batch is topped up.
    pub min_ttl_days: u32,
    /// From this usage ratio on a batch is diluted.
    pub max_utilization: f64,
    /// No batch is diluted beyond this depth.
    pub max_depth: u8,
    /// The most that is spent without a person's consent.
    pub limits: SpendingLimits,
    /// How long to wait for a new batch to become usable.
    pub usable_wait: Duration,
}

impl Default for StampKeeperConfig {
    fn default() -> Self {
        Self {
            batch: None,
            state_file: None,
            manage: true,
            dry_run: false,
            label: "t4t".to_owned(),
            depth: 20,
            ttl_days: 7,
            min_ttl_days: 2,
            max_utilization: 0.5,
            max_depth: 28,
            limits: SpendingLimits::default(),
            usable_wait: Duration::from_secs(240),
        }
    }
}

/// What one round of upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// The batch was topped up.
    pub topped_up: Option<StampReceipt>,
    /// The batch was diluted.
    pub diluted: Option<StampReceipt>,
}

/// Keeps one batch of one node.
#[derive(Debug)]
pub struct StampKeeper {
    bee: Bee,
    config: StampKeeperConfig,
    chosen: std::sync::Mutex<Option<BatchId>>,
    /// Held while a batch is looked for or bought.
    spending: Mutex<Purse>,
    /// Why there is no batch, as the last search found.
    missing: std::sync::Mutex<Option<SwarmTrouble>>,
    /// Held while a full batch is diluted; counts how often that was done.
    rescues: Mutex<u64>,
    /// What the node last said about the batch in use.
    known: std::sync::Mutex<standing::Known>,
    /// When the node was last asked because something was amiss, in milliseconds since 1970.
    checked_at_ms: Mutex<u64>,
}

/// What is written down about money and batches.
#[derive(Debug)]
struct Purse {
    journal: Journal,
    /// Since when a known batch is not shown, in milliseconds since 1970.
    hidden_since_ms: Option<u64>,
    /// The node's wallet, once it told.
    node: Option<Address>,
}

impl StampKeeper {
    /// A keeper for `bee`; nothing is asked yet.
    pub fn new(bee: Bee, config: StampKeeperConfig) -> Self {
        let chosen = std::sync::Mutex::new(None);
        let known = std::sync::Mutex::default();
        let journal = Journal::new(config.state_file.as_ref().map(|file| file.with_file_name(JOURNAL)));
        Self {
            bee,
            config,
            chosen,
            spending: Mutex::new(Purse { journal, hidden_since_ms: None, node: None }),
            missing: std::sync::Mutex::default(),
            rescues: Mutex::default(),
            known,
            checked_at_ms: Mutex::default(),
        }
    }

    /// The node.
    pub fn bee(&self) -> &Bee {
        &self.bee
    }

    /// The batch in use, once one was found.
    pub fn batch(&self) -> Option<BatchId> {
        *self.chosen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Finds a usable batch, or buys one if that is allowed, and remembers it.
    ///
    /// The order: the configured batch; the remembered one; the one with our label that lasts longest, topped up
    /// if it is short of days; a new one. Without management: any usable batch. May wait minutes for a purchase.
    ///
    /// # Errors
    /// [`SwarmError::NoStamp`] if there is none and none may be bought; [`SwarmError::StampHidden`] and
    /// [`SwarmError::StampOrdered`] while one is waited for; [`SwarmError::NeedsConsent`] and
    /// [`SwarmError::WalletLacks`] where a person has to do something.
    pub async fn resolve(&self) -> Result<BatchId, SwarmError> {
        let mut purse = self.spending.lock().await;
        if let Some(batch) = self.batch() {
            return Ok(batch);
        }
        let found = self.find(&mut purse).await;
        let trouble = found.as_ref().err().map(SwarmTrouble::from);
        *self.missing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = trouble;
        let (batch, source, ends_at) = found?;
        purse.hidden_since_ms = None;
        info!(%batch, ?source, "postage batch chosen");
        self.choose(Some(batch));
        self.remember(batch, source, purse.node, ends_at).await;
        Ok(batch)
    }

    /// Why there is no batch, as the last search found.
    fn missing(&self) -> Option<SwarmTrouble> {
        self.missing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Lets go of a batch that pays for nothing any more, so that the next [`Self::resolve`] finds another. A configured
    /// batch is kept: no other may be used.
    pub fn let_go(&self) {
        if self.config.batch.is_none() {
            self.choose(None);
        }
    }

    fn choose(&self, batch: Option<BatchId>) {
        *self.chosen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = batch;
    }

    async fn find(&self, purse: &mut Purse) -> Result<Found, SwarmError> {
        if let Some(batch) = self.config.batch {
            return Ok((batch, StampSource::Configured, None));
        }
        let stamps = self.bee.stamps().await?;
        let node = self.node_of(purse).await;
        let remembered = self.remembered(node).await;
        let listed = |batch: &BatchId| stamps.iter().find(|stamp| stamp.batch_id == *batch);
        if let Some(known) = &remembered
            && let Some(stamp) = listed(&known.batch_id).filter(|stamp| stamp.usable)
        {
            return Ok((stamp.batch_id, StampSource::Remembered, self.end_of(stamp)));
        }
        let is_ours = |stamp: &&StampState| stamp.label == self.config.label || !self.config.manage;
        if let Some(stamp) = longest(stamps.iter().filter(is_ours).filter(|stamp| stamp.usable)) {
            if self.config.manage && self.lacks_days(stamp) {
                // It pays for now, whatever becomes of its top-up.
                if let Err(error) = self.top_up(stamp, purse, node).await {
                    warn!(%error, "the postage batch can't be topped up");
                }
            }
            let source = if self.config.manage { StampSource::Label } else { StampSource::Any };
            return Ok((stamp.batch_id, source, self.end_of(stamp)));
        }
        let ours = || stamps.iter().filter(is_ours).filter(|stamp| !has_ended(stamp));
        if let Some(pending) = ours().find(|stamp| stamp.exists).filter(|_| self.config.manage) {
            self.wait_usable(&pending.batch_id).await?;
            return Ok((pending.batch_id, StampSource::Label, None));
        }
        let hidden = ours().map(|stamp| stamp.batch_id).next().filter(|_| self.config.manage);
        let known = remembered.filter(|known| self.may_show_again(known, listed(&known.batch_id)));
        if let Some(batch) = known.map(|known| known.batch_id).or(hidden)
            && self.waits_still(purse)
        {
            return Err(SwarmError::StampHidden { batch });
        }
        if !self.config.manage {
            return Err(SwarmError::NoStamp);
        }
        self.buy(purse, node).await.map(|batch| (batch, StampSource::Bought, None))
    }

    /// The node's wallet, by which its batches are told from another node's; `None` while it does not tell.
    async fn node_of(&self, purse: &mut Purse) -> Option<Address> {
        if purse.node.is_none() {
            purse.node = self.bee.addresses().await.ok().map(|addresses| addresses.ethereum);
        }
        purse.node
    }

    /// Whether a batch of an earlier run can't have ended yet.
    fn may_show_again(&self, known: &Remembered, listed: Option<&StampState>) -> bool {
        let lasts = known.ends_at.is_none_or(|ends_at| self.bee.clock().now() < ends_at);
        lasts && !listed.is_some_and(has_ended)
    }

    /// Whether what is hidden is waited for still.
    fn waits_still(&self, purse: &mut Purse) -> bool {
        let now_ms = self.bee.clock().unix_millis();
        let since_ms = *purse.hidden_since_ms.get_or_insert(now_ms);
        now_ms.saturating_sub(since_ms) < HIDDEN_MS
    }

    fn end_of(&self, stamp: &StampState) -> Option<UnixSeconds> {
        let seconds = u64::try_from(stamp.ttl_seconds).ok()?;
        Some(self.bee.clock().now().plus(seconds))
    }

    /// Feeds the batch in use: tops it up when it is short of days, dilutes it when it is filling.
    ///
    /// To be called every few minutes. Does nothing to a configured batch, and nothing before [`Self::resolve`]. A
    /// batch that has come to its end is forgotten, so that the next [`Self::resolve`] finds or buys another.
    pub async fn tick(&self) -> Result<Upkeep, SwarmError> {
        let mut done = Upkeep::default();
        let Some(batch) = self.batch().filter(|_| self.config.manage && self.config.batch.is_none()) else {
            return Ok(done);
        };
        let mut purse = self.spending.lock().await;
        let node = self.node_of(&mut purse).await;
        let stamp = match self.bee.stamp(&batch).await {
            Err(error @ (SwarmError::NotFound(_) | SwarmError::StampUnusable { .. })) => {
                warn!(%batch, %error, "the postage batch has ended, or is not shown");
                self.choose(None);
                return Err(error);
            }
            other => other?,
        };
        if self.lacks_days(&stamp) {
            done.topped_up = self.top_up(&stamp, &mut purse, node).await?;
        }
        if stamp.usage_ratio() >= self.config.max_utilization && stamp.depth < self.deepest(&stamp) {
            done.diluted = self.dilute(&stamp).await?;
        }
        if done != Upkeep::default() {
            // How long it lasts now shows at the next start; that it lasts is known.
            self.remember(batch, StampSource::Remembered, node, None).await;
        }
        Ok(done)
    }

    /// The depth beyond which a batch is not diluted.
    ///
    /// A full bucket of a mutable batch refuses nothing, it forgets its oldest stamp. And the bucket of a message is the
    /// choice of whom it is for: without a bound, a stranger who has himself sent a few hundred would make this side pay
    /// for all other buckets, twice as much each time.
    fn deepest(&self, stamp: &StampState) -> u8 {
        if stamp.immutable { self.config.max_depth } else { self.config.max_depth.min(MUTABLE_DEPTH) }
    }

    async fn dilute(&self, stamp: &StampState) -> Result<Option<StampReceipt>, SwarmError> {
        let (batch, depth) = (stamp.batch_id, stamp.depth + 1);
        if self.config.dry_run {
            info!(%batch, depth, "dry run: would dilute");
            return Ok(None);
        }
        info!(%batch, depth, "diluting");
        self.bee.dilute(&batch, depth).await.map(Some)
    }

    fn lacks_days(&self, stamp: &StampState) -> bool {
        let known = stamp.ttl_seconds >= 0;
        known && stamp.ttl_seconds / SECONDS_A_DAY < i64::from(self.config.min_ttl_days)
    }

    /// Polls until the batch can pay.
    async fn wait_usable(&self, batch: &BatchId) -> Result<(), SwarmError> {
        let clock = self.bee.clock();
        let ends = clock.unix_millis().saturating_add(self.config.usable_wait.as_millis() as u64);
        loop {
            let error = match self.bee.stamp(batch).await {
                Ok(stamp) if stamp.usable => return Ok(()),
                Ok(_) => SwarmError::StampUnusable { batch: *batch, message: "not usable yet".to_owned() },
                Err(error) if error.is_retryable() => error,
                Err(error) => return Err(error),
            };
            if clock.unix_millis() >= ends {
                warn!(%batch, %error, "the batch did not become usable in time");
                return Err(error);
            }
            clock.sleep(POLL).await;
        }
    }
}

/// A batch that was found, how, and when it ends.
type Found = (BatchId, StampSource, Option<UnixSeconds>);

/// Whether a batch that pays for nothing has used up its amount; one that the node does not show yet has an unknown end.
fn has_ended(stamp: &StampState) -> bool {
    !stamp.usable && stamp.ttl_seconds == 0
}

/// The batch that lasts longest; one whose end is unknown counts as short.
fn longest<'a>(stamps: impl Iterator<Item = &'a StampState>) -> Option<&'a StampState> {
    stamps.max_by_key(|stamp| stamp.ttl_seconds)
}
