//! Transactions that no block has yet: the same bytes again, a higher fee at the same nonce, or a new nonce.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Fees, Receipt};
use t4t_store::transactions::{StoredTransaction, StoredVersion};

use crate::calls::is_harmless_twice;
use crate::core::{Core, intent_of};
use crate::error;
use crate::gap;
use crate::pacing::Sent;
use crate::send::Sending;

/// How often a payment is signed for another nonce. Another program that uses the wallet takes one now and then.
const MOST_NEW_NONCES: usize = 3;

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
        let mut count = None;
        for row in missing {
            match self.need(row) {
                Need::Nothing => {}
                Need::Resend => self.resend(row).await,
                Need::Raise => self.raise(row).await?,
                Need::Unblock => {
                    let count = match count {
                        Some(known) => known,
                        None => *count.insert(self.mined_count(BlockTag::Latest).await?),
                    };
                    self.unblock(row, count, open).await?;
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

    /// Blocks came without it. `count` nonces are used up on the chain.
    async fn unblock(
        &self,
        row: &StoredTransaction,
        count: u64,
        open: &[StoredTransaction],
    ) -> Result<(), SettlementError> {
        if row.nonce < count {
            return self.replace_nonce(row).await;
        }
        if row.nonce == count {
            // A node that said otherwise was behind or ahead of this one. Only blocks that pass it by call for a
            // higher fee: raised at each refusal, it would reach its limit in seconds.
            if self.is_passed_by(row) {
                return self.raise(row).await;
            }
        } else {
            self.find_predecessor(count, open).await?;
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

    /// Nonces from `count` on are missing before it.
    async fn find_predecessor(&self, count: u64, open: &[StoredTransaction]) -> Result<(), SettlementError> {
        match open.iter().find(|other| other.nonce == count) {
            None => self.fill_gap(count).await?,
            Some(holder) if holder.is_pending() => {}
            // The chain does not have it any more: its block was taken back.
            Some(_) => self.compare_all.store(true, Ordering::SeqCst),
        }
        Ok(())
    }

    /// The nonce is used up. Unless one of our versions did it, the intent moves to a new one, once that is certain.
    async fn replace_nonce(&self, row: &StoredTransaction) -> Result<(), SettlementError> {
        if self.include_mined(vec![row]).await?.is_empty() {
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
        self.reset_lane().await;
        if let Some(version) = self.store_again(row).await? {
            self.send(row.id, &version, Sending::First).await;
        }
        Ok(())
    }

    /// Whether no version can be mined any more, or it does no harm if one is.
    ///
    /// A payment that is signed anew is paid twice if one endpoint made up that its nonce is gone: it takes all that
    /// answer. And where there is but one, it can do so a few times.
    async fn is_nonce_lost(&self, row: &StoredTransaction) -> Result<bool, SettlementError> {
        if is_harmless_twice(&intent_of(row)?) {
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
        if receipt.success || is_harmless_twice(&intent_of(row)?) {
            return Ok(true);
        }
        let receipts = self.rpc.receipts_by_all(receipt.tx).await;
        let has_failed = |receipt: &Option<Receipt>| receipt.as_ref().is_some_and(|receipt| !receipt.success);
        Ok(self.rpc.are_witnesses(receipts.len()) && receipts.iter().all(has_failed))
    }

    async fn mined_count(&self, at: BlockTag) -> Result<u64, SettlementError> {
        self.rpc.transaction_count(self.scope.wallet, at).await.map_err(|cause| error::chain(&cause))
    }
}

fn fees_of(version: &StoredVersion) -> Fees {
    Fees { max_fee: version.max_fee, max_priority: version.max_priority }
}
