//! Buying and topping up, within what the operator allows.

use t4t_types::{Address, BatchId, Xbzz};
use tracing::{info, warn};

use super::journal::{Expense, Kind};
use super::{BLOCKS_A_DAY, Purse, StampKeeper, StampKeeperConfig};
use crate::{BuyStamp, StampReceipt, StampState, SwarmError};

/// Days that Bee demands of a purchase at least; a price that rises meanwhile must not spoil it.
const LEAST_DAYS: u32 = 2;

/// The gas of a purchase at the prices of Gnosis Chain, in wei: 0.0005 xDAI.
const GAS_WEI: u128 = 500_000_000_000_000;

/// The most that is spent without a person's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendingLimits {
    /// On one purchase or top-up (`T4T_STAMP_MAX_SPEND`).
    pub once: Xbzz,
    /// In 30 days (`T4T_STAMP_MAX_MONTHLY_SPEND`).
    pub a_month: Xbzz,
}

impl Default for SpendingLimits {
    fn default() -> Self {
        Self { once: Xbzz::from_whole(1), a_month: Xbzz::from_whole(10) }
    }
}

/// What a new batch of these settings costs at a price for a chunk and block.
///
/// # Errors
/// [`SwarmError::NeedsConsent`] if that is more than one purchase may cost.
pub fn estimate_of(config: &StampKeeperConfig, price: Xbzz) -> Result<(u32, Xbzz), SwarmError> {
    let what = format!("postage of depth {}", config.depth);
    let days = affordable(config, price, config.depth, config.limits.once);
    let wanted = cost_of(price, config.ttl_days, config.depth);
    if days < config.ttl_days.min(config.min_ttl_days.saturating_add(1)).max(LEAST_DAYS.min(config.ttl_days))
    {
        let (setting, allowed) = ("T4T_STAMP_MAX_SPEND", config.limits.once);
        return Err(SwarmError::NeedsConsent { what, cost: wanted, setting, allowed });
    }
    Ok((days, cost_of(price, days, config.depth)))
}

/// How many days of postage fit into an amount, at most as many as are wanted.
fn affordable(config: &StampKeeperConfig, price: Xbzz, depth: u8, allowed: Xbzz) -> u32 {
    let a_day = cost_of(price, 1, depth).plur();
    let days = allowed.plur().checked_div(a_day).unwrap_or(u128::MAX);
    u32::try_from(days).unwrap_or(u32::MAX).min(config.ttl_days)
}

/// What so many days of a batch cost; what nobody could pay is the most there is.
fn cost_of(price: Xbzz, days: u32, depth: u8) -> Xbzz {
    let chunks = 1u128.checked_shl(depth.into()).unwrap_or(u128::MAX);
    let blocks = BLOCKS_A_DAY * u128::from(days);
    price.checked_mul(blocks).and_then(|amount| amount.checked_mul(chunks)).unwrap_or(Xbzz::MAX)
}

/// What something shall cost.
struct Offer {
    what: String,
    /// For each chunk.
    amount: Xbzz,
    cost: Xbzz,
}

impl StampKeeper {
    /// Buys a batch, unless one was bought within the hour.
    pub(super) async fn buy(&self, purse: &mut Purse, node: Option<Address>) -> Result<BatchId, SwarmError> {
        let now_ms = self.bee.clock().unix_millis();
        let ours = (node, self.config.label.as_str());
        if let Some(ordered) = purse.journal.unsettled(Kind::Purchase, ours, now_ms).await? {
            let minutes = now_ms.saturating_sub(ordered.at_ms) / 60_000;
            return Err(SwarmError::StampOrdered { cost: ordered.cost, minutes });
        }
        let least = self.config.min_ttl_days.saturating_add(1).max(LEAST_DAYS);
        let offer = self.offer("a postage batch", self.config.depth, least, purse).await?;
        if self.config.dry_run {
            return Err(SwarmError::DryRun(format!("{} for {} xBZZ", offer.what, offer.cost)));
        }
        self.check_wallet(&offer).await?;
        let order = BuyStamp {
            amount: offer.amount,
            depth: self.config.depth,
            label: self.config.label.clone(),
            immutable: false,
        };
        info!(cost = %offer.cost, "buying {}, paid by the Bee node's own wallet", offer.what);
        purse.journal.begin(self.expense(Kind::Purchase, node, offer.cost)).await?;
        match self.bee.buy_stamp(&order).await {
            Ok(receipt) => {
                purse.journal.settle(receipt.batch_id).await;
                // Before it is waited for: whoever is stopped meanwhile knows it at the next start.
                self.remember(receipt.batch_id, super::StampSource::Bought, node, None).await;
                self.wait_usable(&receipt.batch_id).await?;
                Ok(receipt.batch_id)
            }
            Err(error) => {
                if was_refused(&error) {
                    purse.journal.cancel().await;
                } else {
                    warn!(%error, "whether a postage batch was bought is not known: its label is looked for");
                }
                Err(error)
            }
        }
    }

    pub(super) async fn top_up(
        &self,
        stamp: &StampState,
        purse: &mut Purse,
        node: Option<Address>,
    ) -> Result<Option<StampReceipt>, SwarmError> {
        let now_ms = self.bee.clock().unix_millis();
        if purse.journal.unsettled(Kind::TopUp, (node, &self.config.label), now_ms).await?.is_some() {
            return Ok(None);
        }
        let offer = self.offer("a top-up of the postage batch", stamp.depth, 1, purse).await?;
        if self.config.dry_run {
            info!(batch = %stamp.batch_id, cost = %offer.cost, "dry run: would pay for {}", offer.what);
            return Ok(None);
        }
        self.check_wallet(&offer).await?;
        info!(batch = %stamp.batch_id, cost = %offer.cost, "topping up, paid by the Bee node's own wallet");
        purse.journal.begin(self.expense(Kind::TopUp, node, offer.cost)).await?;
        match self.bee.top_up(&stamp.batch_id, offer.amount).await {
            Ok(receipt) => {
                purse.journal.settle(receipt.batch_id).await;
                Ok(Some(receipt))
            }
            Err(error) => {
                if was_refused(&error) {
                    purse.journal.cancel().await;
                }
                Err(error)
            }
        }
    }

    /// As many of the wanted days as the limits allow.
    async fn offer(&self, what: &str, depth: u8, least: u32, purse: &mut Purse) -> Result<Offer, SwarmError> {
        let price = self.bee.chain_state().await?.current_price;
        let spent = purse.journal.spent(self.bee.clock().unix_millis()).await?;
        let limits = self.config.limits;
        let left = limits.a_month.saturating_sub(spent);
        let days = affordable(&self.config, price, depth, limits.once.min(left));
        if days < least.min(self.config.ttl_days) {
            let (setting, allowed) = if left < limits.once {
                ("T4T_STAMP_MAX_MONTHLY_SPEND", left)
            } else {
                ("T4T_STAMP_MAX_SPEND", limits.once)
            };
            let days = self.config.ttl_days;
            let what = format!("{what} of depth {depth} for {days} days");
            let cost = cost_of(price, days, depth);
            return Err(SwarmError::NeedsConsent { what, cost, setting, allowed });
        }
        let amount = price.checked_mul(BLOCKS_A_DAY * u128::from(days));
        let amount = amount.ok_or(SwarmError::Malformed { call: "chainstate", source: None })?;
        let what = format!("{what} of depth {depth} for {days} days");
        Ok(Offer { what, amount, cost: cost_of(price, days, depth) })
    }

    /// Whether the node can pay: it would only say that it is out of funds, and not which coin of which wallet.
    async fn check_wallet(&self, offer: &Offer) -> Result<(), SwarmError> {
        let wallet = match self.bee.wallet().await {
            Ok(wallet) => wallet,
            Err(error) if error.is_retryable() => return Err(error),
            // A node that does not tell says soon enough whether it can.
            Err(_) => return Ok(()),
        };
        let lacks = |coin, has: String, needs: String| {
            let needs = format!("{needs} for {}", offer.what);
            Err(SwarmError::WalletLacks { wallet: wallet.wallet_address, coin, has, needs })
        };
        if wallet.bzz_balance < offer.cost {
            return lacks("xBZZ", wallet.bzz_balance.to_string(), offer.cost.to_string());
        }
        match wallet.native_token_balance.parse::<u128>() {
            Ok(wei) if wei < GAS_WEI => lacks("xDAI", in_xdai(wei), in_xdai(GAS_WEI)),
            _ => Ok(()),
        }
    }

    fn expense(&self, kind: Kind, node: Option<Address>, cost: Xbzz) -> Expense {
        let at_ms = self.bee.clock().unix_millis();
        Expense { at_ms, kind, node, label: self.config.label.clone(), cost, batch: None }
    }
}

/// Whether the node certainly bought nothing.
fn was_refused(error: &SwarmError) -> bool {
    let refused = matches!(error, SwarmError::Node { status: 400..=499 | 501 | 503, .. });
    refused || matches!(error, SwarmError::OutOfFunds(_) | SwarmError::NotFound(_))
}

/// Wei as xDAI, to a ten-thousandth.
fn in_xdai(wei: u128) -> String {
    let parts = wei / 10u128.pow(14);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}
