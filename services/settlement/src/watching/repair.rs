//! Transactions that no block has yet, each given what it needs: the same bytes again, a higher fee at the same nonce, or a
//! new nonce.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_clock::SharedClock;
use t4t_store::transactions::StoredTransaction;

use super::gaps::Gaps;
use super::need::{Need, Waiting};
use super::renewal::Renewal;
use super::resending::Resending;
use crate::config::Pace;
use crate::in_flight::InFlight;
use crate::nonces::{NonceCounts, Used};

/// Gives transactions without a receipt what they need.
#[derive(Debug)]
pub(super) struct Repair {
    pub(super) in_flight: Arc<InFlight>,
    pub(super) counts: Arc<NonceCounts>,
    pub(super) resending: Resending,
    pub(super) gaps: Gaps,
    pub(super) renewal: Renewal,
    pub(super) clock: SharedClock,
    pub(super) pace: Pace,
}

impl Repair {
    /// Does what each of these, which have no receipt, needs.
    pub(super) async fn repair(
        &self,
        missing: &[&StoredTransaction],
        open: &[StoredTransaction],
    ) -> Result<(), SettlementError> {
        let mut used = None;
        for row in missing {
            match self.waiting(row).need(self.clock.unix_millis(), self.pace.resend_after) {
                Need::Nothing => {}
                Need::Send => self.resending.resend(row).await,
                Need::Resend => {
                    if !self.renewal.is_mined_after_all(row).await? {
                        self.resending.resend(row).await;
                    }
                }
                Need::Raise => self.resending.raise(row).await?,
                Need::Unblock => {
                    let used = match used {
                        Some(known) => known,
                        None => *used.insert(self.counts.used().await?),
                    };
                    self.unblock(row, used, open).await?;
                }
            }
        }
        Ok(())
    }

    fn waiting(&self, row: &StoredTransaction) -> Waiting {
        Waiting {
            sent: self.in_flight.get(row.id),
            is_refused: row.newest().is_some_and(|version| version.refused),
            is_passed_by: self.is_passed_by(row),
        }
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
                return self.renewal.renew(row).await;
            }
        } else if row.nonce == count {
            // A node that said otherwise was behind or ahead of this one. Only blocks that pass it by call for a
            // higher fee: raised at each refusal, it would reach its limit in seconds.
            if self.is_passed_by(row) {
                return self.resending.raise(row).await;
            }
        } else {
            if self.gaps.see_to(row, used, open).await? {
                return Ok(());
            }
            // Raised together with those before it, or each would wait its blocks in turn.
            if self.is_passed_by(row) && self.resending.is_too_cheap(row) {
                return self.resending.raise(row).await;
            }
        }
        if self.has_waited(row) {
            self.resending.resend(row).await;
        }
        Ok(())
    }

    /// Whether it was last sent so long ago that it is sent again.
    fn has_waited(&self, row: &StoredTransaction) -> bool {
        let now = self.clock.unix_millis();
        let waited_ms = self.in_flight.get(row.id).map_or(u64::MAX, |sent| now.saturating_sub(sent.at_ms));
        u128::from(waited_ms) >= self.pace.resend_after.as_millis()
    }

    /// Whether as many blocks came without it as call for a higher fee.
    fn is_passed_by(&self, row: &StoredTransaction) -> bool {
        self.in_flight.blocks_since(row.id) >= self.pace.bump_after_blocks
    }
}
