//! Postage batches: what uploads and messages are paid with.

use reqwest::Method;
use serde::{Deserialize, Deserializer};
use t4t_types::{BatchId, TxHash, Xbzz};

use super::Bee;
use super::retry::was_busy;
use crate::SwarmError;

/// A batch as its node sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StampState {
    /// Which batch.
    #[serde(rename = "batchID")]
    pub batch_id: BatchId,
    /// Stamps in the fullest bucket.
    pub utilization: u32,
    /// Whether it can pay now.
    pub usable: bool,
    /// The name its owner gave it.
    pub label: String,
    /// 2^depth chunks are paid for.
    pub depth: u8,
    /// What was paid for each chunk.
    #[serde(deserialize_with = "unknown_is_zero")]
    pub amount: Xbzz,
    /// 2^depth buckets.
    pub bucket_depth: u8,
    /// Whether a full bucket refuses (true) or forgets its oldest stamp.
    #[serde(rename = "immutableFlag")]
    pub immutable: bool,
    /// Whether the chain knows it.
    pub exists: bool,
    /// Seconds until it has used up its amount; negative if that is unknown.
    #[serde(rename = "batchTTL")]
    pub ttl_seconds: i64,
}

impl StampState {
    /// How full the fullest bucket is: 0 to 1. At 1 some uploads fail though most buckets have room.
    pub fn usage_ratio(&self) -> f64 {
        let capacity = f64::from(self.depth.saturating_sub(self.bucket_depth)).exp2();
        f64::from(self.utilization) / capacity
    }
}

/// A batch to buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuyStamp {
    /// What to pay for each chunk: price × blocks.
    pub amount: Xbzz,
    /// 2^depth chunks; at least 17.
    pub depth: u8,
    /// The name it shall have.
    pub label: String,
    /// Whether a full bucket shall refuse (true) or forget its oldest stamp.
    pub immutable: bool,
}

impl BuyStamp {
    /// What the whole batch costs; `None` on overflow.
    pub fn cost(&self) -> Option<Xbzz> {
        self.amount.checked_mul(1u128.checked_shl(self.depth.into())?)
    }
}

/// A transaction about a batch that was mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct StampReceipt {
    /// Which batch.
    #[serde(rename = "batchID")]
    pub batch_id: BatchId,
    /// The transaction.
    #[serde(rename = "txHash")]
    pub tx_hash: TxHash,
}

/// A batch that the node found again on the chain has no amount.
fn unknown_is_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Xbzz, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
struct Batches {
    #[serde(default)]
    stamps: Option<Vec<StampState>>,
}

impl Bee {
    /// Every batch the node owns; a fresh one may be absent.
    pub async fn stamps(&self) -> Result<Vec<StampState>, SwarmError> {
        let batches: Batches = self.json(&self.call("stamps", Method::GET, &["stamps"])).await?;
        Ok(batches.stamps.unwrap_or_default())
    }

    /// One batch. A batch that is not usable yet is [`SwarmError::StampUnusable`], one that the node does not own
    /// [`SwarmError::NotFound`].
    pub async fn stamp(&self, batch: &BatchId) -> Result<StampState, SwarmError> {
        let call = self.call("stamp", Method::GET, &["stamps", &batch.to_string()]);
        self.json(&call).await.map_err(|error| match error {
            SwarmError::Node { status: 400, message } => SwarmError::StampUnusable { batch: *batch, message },
            other => other,
        })
    }

    /// Buys a batch and waits for the transaction; usable about ten blocks later.
    ///
    /// After an error the batch may have been bought all the same: look for the label before buying again.
    pub async fn buy_stamp(&self, order: &BuyStamp) -> Result<StampReceipt, SwarmError> {
        let path = ["stamps", &order.amount.plur().to_string(), &order.depth.to_string()];
        let call = self
            .call("stamp purchase", Method::POST, &path)
            .query("label", &order.label)
            .header("immutable", if order.immutable { "true" } else { "false" })
            .limit(self.shared.config.stamp_timeout);
        self.retrying(was_busy, || self.json(&call)).await
    }

    /// Pays `amount` more for each chunk of the batch, which makes it last longer.
    pub async fn top_up(&self, batch: &BatchId, amount: Xbzz) -> Result<StampReceipt, SwarmError> {
        let path = ["stamps", "topup", &batch.to_string(), &amount.plur().to_string()];
        let call = self.call("top-up", Method::PATCH, &path).limit(self.shared.config.stamp_timeout);
        self.retrying(was_busy, || self.json(&call)).await
    }

    /// Makes room for 2^depth chunks; each further bit halves how long the batch lasts.
    pub async fn dilute(&self, batch: &BatchId, depth: u8) -> Result<StampReceipt, SwarmError> {
        let path = ["stamps", "dilute", &batch.to_string(), &depth.to_string()];
        let call = self.call("dilution", Method::PATCH, &path).limit(self.shared.config.stamp_timeout);
        self.retrying(was_busy, || self.json(&call)).await
    }
}
