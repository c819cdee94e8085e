//! Keeping a postage batch usable: finding or buying one, and feeding it.
//!
//! The order in which a batch is looked for is version 1's, so that an operator can swap images and keep the batch.

mod memory;
mod rescue;
mod standing;

use std::path::PathBuf;
use std::time::Duration;

use t4t_types::{BatchId, Xbzz};
use tokio::sync::Mutex;
use tracing::{info, warn};

pub use self::memory::StampSource;
pub use self::standing::Standing;
use crate::{Bee, BuyStamp, StampReceipt, StampState, SwarmError};

/// Blocks of 5 s in a day.
const BLOCKS_A_DAY: u128 = 17_280;
const SECONDS_A_DAY: i64 = 86_400;
/// From this depth on a mutable batch is large enough: 64 stamps in each of 65,536 buckets, so that an answer, whose chunks
/// fall anywhere, is forgotten after four million others.
const MUTABLE_DEPTH: u8 = 22;
const POLL: Duration = Duration::from_millis(1500);
/// A purchase or a top-up takes blocks to show: no second one before.
const SETTLE: Duration = Duration::from_secs(600);

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
            depth: 24,
            ttl_days: 30,
            min_ttl_days: 7,
            max_utilization: 0.5,
            max_depth: 28,
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
    /// Held while a batch is looked for or bought; holds when money was last spent.
    spending: Mutex<LastSpent>,
    /// Held while a full batch is diluted; counts how often that was done.
    rescues: Mutex<u64>,
    /// What the node last said about the batch in use.
    known: std::sync::Mutex<standing::Known>,
    /// When the node was last asked because something was amiss, in milliseconds since 1970.
    checked_at_ms: Mutex<u64>,
}

#[derive(Debug, Default)]
struct LastSpent {
    purchase: Option<u64>,
    top_up: Option<u64>,
}

impl StampKeeper {
    /// A keeper for `bee`; nothing is asked yet.
    pub fn new(bee: Bee, config: StampKeeperConfig) -> Self {
        let chosen = std::sync::Mutex::new(None);
        let known = std::sync::Mutex::default();
        Self {
            bee,
            config,
            chosen,
            spending: Mutex::default(),
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
    /// Errors: [`SwarmError::NoStamp`] if there is none and none may be bought.
    pub async fn resolve(&self) -> Result<BatchId, SwarmError> {
        let mut spent = self.spending.lock().await;
        if let Some(batch) = self.batch() {
            return Ok(batch);
        }
        let (batch, source) = self.find(&mut spent).await?;
        info!(%batch, ?source, "postage batch chosen");
        self.choose(Some(batch));
        self.remember(batch, source).await;
        Ok(batch)
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

    async fn find(&self, spent: &mut LastSpent) -> Result<(BatchId, StampSource), SwarmError> {
        if let Some(batch) = self.config.batch {
            return Ok((batch, StampSource::Configured));
        }
        if let Some(batch) = self.remembered().await {
            match self.bee.stamp(&batch).await {
                Ok(state) if state.usable => return Ok((batch, StampSource::Remembered)),
                Ok(_) | Err(SwarmError::NotFound(_) | SwarmError::StampUnusable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let stamps = self.bee.stamps().await?;
        if !self.config.manage {
            let any = longest(stamps.iter().filter(|stamp| stamp.usable)).ok_or(SwarmError::NoStamp)?;
            return Ok((any.batch_id, StampSource::Any));
        }
        let ours = || stamps.iter().filter(|stamp| stamp.label == self.config.label);
        if let Some(stamp) = longest(ours().filter(|stamp| stamp.usable)) {
            if self.lacks_days(stamp) {
                self.top_up(stamp, spent).await?;
            }
            return Ok((stamp.batch_id, StampSource::Label));
        }
        if let Some(pending) = ours().find(|stamp| stamp.exists) {
            self.wait_usable(&pending.batch_id).await?;
            return Ok((pending.batch_id, StampSource::Label));
        }
        self.buy(spent).await.map(|batch| (batch, StampSource::Bought))
    }

    async fn buy(&self, spent: &mut LastSpent) -> Result<BatchId, SwarmError> {
        if self.config.dry_run || self.recent(spent.purchase) {
            return Err(SwarmError::NoStamp);
        }
        let order = BuyStamp {
            amount: self.full_amount().await?,
            depth: self.config.depth,
            label: self.config.label.clone(),
            immutable: false,
        };
        info!(amount = %order.amount.plur(), depth = order.depth, "buying a postage batch");
        spent.purchase = Some(self.bee.clock().unix_millis());
        let receipt = self.bee.buy_stamp(&order).await?;
        self.wait_usable(&receipt.batch_id).await?;
        Ok(receipt.batch_id)
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
        let mut spent = self.spending.lock().await;
        let stamp = match self.bee.stamp(&batch).await {
            Err(error @ (SwarmError::NotFound(_) | SwarmError::StampUnusable { .. })) => {
                warn!(%batch, %error, "the postage batch has ended");
                self.choose(None);
                return Err(error);
            }
            other => other?,
        };
        if self.lacks_days(&stamp) {
            done.topped_up = self.top_up(&stamp, &mut spent).await?;
        }
        if stamp.usage_ratio() >= self.config.max_utilization && stamp.depth < self.deepest(&stamp) {
            done.diluted = self.dilute(&stamp).await?;
        }
        Ok(done)
    }

    async fn top_up(
        &self,
        stamp: &StampState,
        spent: &mut LastSpent,
    ) -> Result<Option<StampReceipt>, SwarmError> {
        if self.recent(spent.top_up) {
            return Ok(None);
        }
        let amount = self.full_amount().await?;
        if self.config.dry_run {
            info!(batch = %stamp.batch_id, amount = %amount.plur(), "dry run: would top up");
            return Ok(None);
        }
        info!(batch = %stamp.batch_id, amount = %amount.plur(), "topping up");
        spent.top_up = Some(self.bee.clock().unix_millis());
        self.bee.top_up(&stamp.batch_id, amount).await.map(Some)
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

    /// What each chunk must be paid to last `ttl_days` at today's price.
    async fn full_amount(&self) -> Result<Xbzz, SwarmError> {
        let price = self.bee.chain_state().await?.current_price;
        let blocks = BLOCKS_A_DAY * u128::from(self.config.ttl_days);
        price.checked_mul(blocks).ok_or(SwarmError::Malformed { call: "chainstate", source: None })
    }

    fn lacks_days(&self, stamp: &StampState) -> bool {
        let known = stamp.ttl_seconds >= 0;
        known && stamp.ttl_seconds / SECONDS_A_DAY < i64::from(self.config.min_ttl_days)
    }

    fn recent(&self, moment: Option<u64>) -> bool {
        let settled = |moment: u64| u128::from(moment) + SETTLE.as_millis();
        moment.is_some_and(|moment| u128::from(self.bee.clock().unix_millis()) < settled(moment))
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

/// The batch that lasts longest; one whose end is unknown counts as short.
fn longest<'a>(stamps: impl Iterator<Item = &'a StampState>) -> Option<&'a StampState> {
    stamps.max_by_key(|stamp| stamp.ttl_seconds)
}
