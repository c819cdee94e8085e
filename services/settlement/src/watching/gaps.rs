//! Gaps in the wallet's sequence, which stop everything behind them: filled where they are few, and left to new
//! transactions where a false count made them.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_store::transactions::{StoredCall, StoredTransaction};
use t4t_types::Address;

use super::closing::Closing;
use crate::head::Heads;
use crate::intent::{ContractIntent, Intent, OwnIntent};
use crate::journal::{FILLED_BY_ANOTHER, Journal, NEVER_MINED, NewEntry};
use crate::nonces::{FEW, Lane, Used, holes};
use crate::own_keys;
use crate::sending::{Sender, Sending};

/// Gas of a transfer of the chain's coin.
const TRANSFER_GAS: u64 = 21_000;

/// Seconds after its deadline from which a payment can't be made any more, whatever a reorganisation does to the time.
const OVER_AFTER_SECONDS: u64 = 60;

/// Sees to gaps before a transaction.
#[derive(Debug)]
pub(super) struct Gaps {
    pub(super) wallet: Address,
    pub(super) heads: Arc<Heads>,
    pub(super) journal: Journal,
    pub(super) lane: Arc<Lane>,
    pub(super) sender: Arc<Sender>,
    pub(super) closing: Arc<Closing>,
}

impl Gaps {
    /// Something is missing before it. Whether it has another place now, or none.
    pub(super) async fn see_to(
        &self,
        row: &StoredTransaction,
        used: Used,
        open: &[StoredTransaction],
    ) -> Result<bool, SettlementError> {
        match open.iter().find(|other| other.nonce == used.count) {
            None => self.see_to_gap(row, used, open).await,
            Some(holder) if holder.is_pending() => Ok(false),
            Some(_) => {
                // The chain does not have it any more: its block was taken back.
                self.heads.possible_reorg().report();
                Ok(false)
            }
        }
    }

    /// Nothing of ours is at the next nonce. A few places that another program left empty are filled; where many are, a
    /// count was false, and nothing is paid on its word: what does no harm twice is signed for the lowest free nonce, and
    /// new transactions fill the places from below. A payment keeps its place, because both could be mined: it is reached
    /// in time, or its deadline passes and the contract refuses it.
    async fn see_to_gap(
        &self,
        row: &StoredTransaction,
        used: Used,
        open: &[StoredTransaction],
    ) -> Result<bool, SettlementError> {
        let are_few = holes(used.count, row.nonce, open) <= FEW;
        if are_few && used.is_witnessed {
            self.fill(used.count).await?;
            return Ok(false);
        }
        self.lane.reset().await;
        if own_keys::is_filler(&row.key) {
            self.closing.close(row, FILLED_BY_ANOTHER).await?;
            return Ok(true);
        }
        let intent = Intent::of(row)?;
        if intent.is_harmless_twice() {
            return self.move_down(row, used.count).await;
        }
        if self.can_no_longer_pay(&intent) {
            tracing::warn!(
                key = row.key,
                nonce = row.nonce,
                "a payment was never mined, and its deadline has passed"
            );
            self.closing.close(row, NEVER_MINED).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Signs what does no harm twice for a lower nonce.
    async fn move_down(&self, row: &StoredTransaction, from: u64) -> Result<bool, SettlementError> {
        let Some(version) = self.lane.store_again(row, from, |nonce| nonce < row.nonce).await? else {
            return Ok(false);
        };
        tracing::warn!(
            key = row.key,
            from = row.nonce,
            to = version.nonce,
            "a false count had set a transaction apart from the wallet's sequence, signing it for its place"
        );
        self.sender.send(row.id, &version, Sending::First).await;
        Ok(true)
    }

    /// Whether the contract refuses a payment from now on, by the chain's clock and by ours.
    fn can_no_longer_pay(&self, intent: &Intent) -> bool {
        let Some(deadline) = intent.deadline() else { return false };
        let over_ms = deadline.get().saturating_add(OVER_AFTER_SECONDS).saturating_mul(1000);
        let chain_ms = self.heads.head().map_or(0, |head| head.made_at_ms);
        chain_ms.min(self.journal.now_ms()) >= over_ms
    }

    /// Fills a nonce that no open transaction holds with a transaction that does nothing: another program took it, and its
    /// transaction got lost.
    async fn fill(&self, nonce: u64) -> Result<(), SettlementError> {
        if self.journal.open().await?.iter().any(|row| row.nonce == nonce) {
            return Ok(());
        }
        let intent = Intent::Own(OwnIntent::nothing(self.wallet)).to_text()?;
        let call = StoredCall { to: self.wallet, data: Vec::new(), value: 0, gas_limit: TRANSFER_GAS };
        let key = own_keys::filler(nonce, self.journal.now_ms());
        tracing::warn!(nonce, "a transaction of another program is missing, filling its place");
        let entry = NewEntry { key: &key, intent: &intent, call: &call };
        if let Some(stored) = self.lane.store_at(nonce, entry).await? {
            self.sender.send(stored.id, &stored.version, Sending::First).await;
        }
        Ok(())
    }
}
