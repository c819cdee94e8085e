//! Transactions that no block has yet: the same bytes again, a higher fee at the same nonce, or a new nonce.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Fees, Receipt};
use t4t_store::transactions::{StoredTransaction, StoredVersion};

use crate::core::Core;
use crate::counting::{FEW, Used};
use crate::error;
use crate::gap;
use crate::intent::{ContractIntent, Intent};
use crate::pacing::Sent;
use crate::send::Sending;

/// How often a payment is signed for another nonce. Another program that uses the wallet takes one now and then.
const MOST_NEW_NONCES: usize = 3;

/// Seconds after its deadline from which a payment can't be made any more, whatever a reorganisation does to the time.
const OVER_AFTER_SECONDS: u64 = 60;

/// What a transaction without a receipt needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// To wait.
    Nothing,
    /// To be sent again as it is.
    Resend,
    /// A higher fee: a node said so.
    Raise,
    /// To find out why blocks pass it by.
    Unblock,
}

impl Core {
    /// Does what each of these, which have no receipt, needs.
    pub(crate) async fn mend(
        &self,
        missing: &[&StoredTransaction],
        open: &[StoredTransaction],
    ) -> Result<(), SettlementError> {
        let mut used = None;
        for row in missing {
            match self.need(row) {
                Need::Nothing => {}
                Need::Resend
                    if self.pacing.get(row.id).is_some() && self.include_shown_by_any(row).await? => {}
                Need::Resend => self.resend(row).await,
                Need::Raise => self.raise(row).await?,
                Need::Unblock => {
                    let used = match used {
                        Some(known) => known,
                        None => *used.insert(self.used().await?),
                    };
                    self.unblock(row, used, open).await?;
                }
            }
        }
        Ok(())
    }

    fn need(&self, row: &StoredTransaction) -> Need {
        let Some(sent) = self.pacing.get(row.id) else { return Need::Resend };
        self.need_of_sent(row, &sent)
    }

    fn need_of_sent(&self, row: &StoredTransaction, sent: &Sent) -> Need {
        let pace = self.config.pace;
        let waited_ms = self.now_ms().saturating_sub(sent.at_ms);
        let passed_by = self.is_passed_by(row);
        let refused = row.newest().is_some_and(|version| version.refused);
        match () {
            () if sent.nonce_taken || refused => Need::Unblock,
            // A higher fee is even more than the wallet can't pay.
            () if sent.unfunded && u128::from(waited_ms) < pace.resend_after.as_millis() => Need::Nothing,
            () if sent.unfunded => Need::Resend,
            () if passed_by => Need::Unblock,
            () if sent.fee_too_low => Need::Raise,
            () if u128::from(waited_ms) >= pace.resend_after.as_millis() => Need::Resend,
            () => Need::Nothing,
        }
    }

    /// Sends the newest version's bytes again.
    async fn resend(&self, row: &StoredTransaction) {
        if let Some(version) = row.newest() {
            tracing::info!(key = row.key, nonce = row.nonce, hash = %version.hash, "sending a transaction again");
            self.send(row.id, version, Sending::Again).await;
        }
    }

    /// Replaces a transaction by one that pays more, at the same nonce. Every version's hash is kept.
    async fn raise(&self, row: &StoredTransaction) -> Result<(), SettlementError> {
        let Some(newest) = row.newest() else { return Ok(()) };
        self.read_head_early().await?;
        let Some(fees) = self.heads.raised(fees_of(newest)) else {
            tracing::warn!(
                key = row.key,
                nonce = row.nonce,
                "the fee limit is reached, waiting for cheaper blocks"
            );
            self.resend(row).await;
            return Ok(());
        };
        let version = self.sign(row.nonce, &row.call, fees);
        let stored = self.store.transaction_version_insert(row.id, row.nonce, &version, self.now_ms()).await;
        if stored.map_err(|cause| error::store(&cause))? {
            let max_fee_wei = fees.max_fee;
            tracing::info!(key = row.key, nonce = row.nonce, max_fee_wei, "raising a transaction's fee");
            self.send(row.id, &version, Sending::First).await;
        }
        Ok(())
    }

    /// Blocks came without it.
    async fn unblock(
        &self,
        row: &StoredTransaction,
        used: Used,
        open: &[StoredTransaction],
    ) -> Result<(), SettlementError> {
        let count = used.count;
        if row.nonce < count {
            // On one endpoint's word nothing is signed anew: it is sent again until another one says so too.
            if used.is_witnessed {
                return self.replace_nonce(row).await;
            }
        } else if row.nonce == count {
            // A node that said otherwise was behind or ahead of this one. Only blocks that pass it by call for a
            // higher fee: raised at each refusal, it would reach its limit in seconds.
            if self.is_passed_by(row) {
                return self.raise(row).await;
            }
        } else {
            if self.mend_place(row, used, open).await? {
                return Ok(());
            }
            // Raised together with those before it, or each would wait its blocks in turn.
            if self.is_passed_by(row) && self.is_too_cheap(row) {
                return self.raise(row).await;
            }
        }
        let waited_ms =
            self.pacing.get(row.id).map_or(u64::MAX, |sent| self.now_ms().saturating_sub(sent.at_ms));
        if u128::from(waited_ms) >= self.config.pace.resend_after.as_millis() {
            self.resend(row).await;
        }
        Ok(())
    }

    /// Whether as many blocks came without it as call for a higher fee.
    fn is_passed_by(&self, row: &StoredTransaction) -> bool {
        self.pacing.blocks_since(row.id, &self.heads) >= self.config.pace.bump_after_blocks
    }

    /// Whether it pays less than the newest block asked for.
    fn is_too_cheap(&self, row: &StoredTransaction) -> bool {
        let base_fee = self.heads.head().map_or(0, |head| head.base_fee);
        row.newest().is_some_and(|version| version.max_fee < base_fee)
    }

    /// Something is missing before it. Whether it has another place now, or none.
    async fn mend_place(
        &self,
        row: &StoredTransaction,
        used: Used,
        open: &[StoredTransaction],
    ) -> Result<bool, SettlementError> {
        match open.iter().find(|other| other.nonce == used.count) {
            None => self.mend_hole(row, used, open).await,
            Some(holder) if holder.is_pending() => Ok(false),
            Some(_) => {
                // The chain does not have it any more: its block was taken back.
                self.compare_all.store(true, Ordering::SeqCst);
                Ok(false)
            }
        }
    }

    /// Nothing of ours is at the next nonce. A few places that another program left empty are filled; where many are, a
    /// count was false, and nothing is paid on its word: what does no harm twice is signed for the lowest free nonce, and
    /// new transactions fill the places from below. A payment keeps its place, because both could be mined: it is reached
    /// in time, or its deadline passes and the contract refuses it.
    async fn mend_hole(
        &self,
        row: &StoredTransaction,
        used: Used,
        open: &[StoredTransaction],
    ) -> Result<bool, SettlementError> {
        let are_few = Self::holes(used.count, row.nonce, open) <= FEW;
        if are_few && used.is_witnessed {
            self.fill_gap(used.count).await?;
            return Ok(false);
        }
        self.reset_lane().await;
        if row.key.starts_with(gap::KEY_PREFIX) {
            self.close_gap(row).await?;
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
            self.close(row, gap::NEVER_MINED).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Signs what does no harm twice for a lower nonce.
    async fn move_down(&self, row: &StoredTransaction, from: u64) -> Result<bool, SettlementError> {
        let Some(version) = self.store_again(row, from, |nonce| nonce < row.nonce).await? else {
            return Ok(false);
        };
        tracing::warn!(
            key = row.key,
            from = row.nonce,
            to = version.nonce,
            "a false count had set a transaction apart from the wallet's sequence, signing it for its place"
        );
        self.send(row.id, &version, Sending::First).await;
        Ok(true)
    }

    /// Whether the contract refuses a payment from now on, by the chain's clock and by ours.
    fn can_no_longer_pay(&self, intent: &Intent) -> bool {
        let Some(deadline) = intent.deadline() else { return false };
        let over_ms = deadline.get().saturating_add(OVER_AFTER_SECONDS).saturating_mul(1000);
        let chain_ms = self.heads.head().map_or(0, |head| head.made_at_ms);
        chain_ms.min(self.now_ms()) >= over_ms
    }

    /// The nonce is used up. Unless one of our versions did it, the intent moves to a new one, once that is certain.
    async fn replace_nonce(&self, row: &StoredTransaction) -> Result<(), SettlementError> {
        if self.include_mined(vec![row]).await?.is_empty() {
            return Ok(());
        }
        // Signed anew while one endpoint hides what is mined, it would be sent again and again.
        if self.include_shown_by_any(row).await? {
            return Ok(());
        }
        let was_told = self.pacing.get(row.id).is_some_and(|sent| sent.nonce_taken);
        if !was_told {
            // Endpoints may differ by a block: believed when it is seen twice.
            self.pacing.change(row.id, |sent| sent.nonce_taken = true);
            return Ok(());
        }
        if row.key.starts_with(gap::KEY_PREFIX) {
            return self.close_gap(row).await;
        }
        if !self.is_nonce_lost(row).await? {
            return Ok(());
        }
        tracing::warn!(
            key = row.key,
            nonce = row.nonce,
            "another transaction used the nonce, taking a new one"
        );
        if let Some(version) = self.store_again(row, row.nonce.saturating_add(1), |_| true).await? {
            self.send(row.id, &version, Sending::First).await;
        }
        Ok(())
    }

    /// Whether no version can be mined any more, or it does no harm if one is.
    ///
    /// A payment that is signed anew is paid twice if one endpoint made up that its nonce is gone: it takes all that
    /// answer. And where there is but one, it can do so a few times.
    async fn is_nonce_lost(&self, row: &StoredTransaction) -> Result<bool, SettlementError> {
        if Intent::of(row)?.is_harmless_twice() {
            return Ok(true);
        }
        let nonces: HashSet<u64> = row.versions.iter().map(|version| version.nonce).collect();
        if nonces.len() > MOST_NEW_NONCES {
            tracing::error!(
                key = row.key,
                nonce = row.nonce,
                "the chain's node says again and again that another transaction used the nonce: name a second node in \
                 GNOSIS_RPC_URL"
            );
            return Ok(false);
        }
        let waits_nowhere = row.versions.iter().all(|version| version.refused);
        let deep = self.heads.number().saturating_sub(self.config.pace.confirmations);
        let at = if waits_nowhere { BlockTag::Latest } else { BlockTag::Number(deep) };
        let counts = self.rpc.transaction_counts(self.scope.wallet, at).await;
        if !self.rpc.are_witnesses(counts.len()) || counts.iter().any(|count| *count <= row.nonce) {
            return Ok(false);
        }
        for version in &row.versions {
            let known = self.rpc.transaction_known_by(version.hash).await;
            if !self.rpc.are_witnesses(known.len()) || known.contains(&true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a receipt is believed. One that says that a payment failed makes its owner pay another provider, so all
    /// endpoints that answer have to say it.
    pub(crate) async fn is_believed(
        &self,
        row: &StoredTransaction,
        receipt: &Receipt,
    ) -> Result<bool, SettlementError> {
        if receipt.success {
            return Ok(true);
        }
        let receipts = self.rpc.receipts_by_all(receipt.tx).await;
        if Intent::of(row)?.is_harmless_twice() {
            return Ok(!receipts.iter().flatten().any(|receipt| receipt.success));
        }
        let has_failed = |receipt: &Option<Receipt>| receipt.as_ref().is_some_and(|receipt| !receipt.success);
        Ok(self.rpc.are_witnesses(receipts.len()) && receipts.iter().all(has_failed))
    }

    /// Whether another endpoint than the one that is asked first shows a version in a block, and it is noted.
    async fn include_shown_by_any(&self, row: &StoredTransaction) -> Result<bool, SettlementError> {
        if self.rpc.endpoints() == 1 {
            return Ok(false);
        }
        let mut shown = Vec::new();
        for version in &row.versions {
            shown.extend(self.rpc.receipts_by_all(version.hash).await.into_iter().flatten());
        }
        let best = shown.iter().find(|receipt| receipt.success).or(shown.first());
        let Some(receipt) = best else { return Ok(false) };
        if !self.is_believed(row, receipt).await? {
            return Ok(false);
        }
        self.include(row, receipt).await?;
        self.announce();
        Ok(true)
    }
}

fn fees_of(version: &StoredVersion) -> Fees {
    Fees { max_fee: version.max_fee, max_priority: version.max_priority }
}
