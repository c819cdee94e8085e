//! One attempt: from a planned row to an answer, or to the knowledge that this provider gives none.
//!
//! Every step is safe to take twice, so that an attempt found after a restart is simply driven again.

use std::pin::Pin;

use t4t_api::settlement::TransactionStatus;
use t4t_clock::SharedClock;
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;

use super::super::Failed;
use super::collecting::Collector;
use super::ledger::Ledger;
use super::noticing::Notifier;
use super::posting::Poster;
use super::uploading::Uploader;
use crate::buying::delivery::Answer;
use crate::buying::log::PurchaseLog;
use crate::buying::wanted::AskedFor;

/// A request that the own node has not stored for so long explains a refusal: nobody could read it.
const OWN_FAULT_MS: u64 = 10_000;

/// Drives attempts.
pub(super) struct Driver {
    pub(super) uploader: Uploader,
    pub(super) poster: Poster,
    pub(super) notifier: Notifier,
    pub(super) collector: Collector,
    pub(super) ledger: Ledger,
    pub(super) clock: SharedClock,
}

impl Driver {
    /// Brings a row to an answer: uploads, pays, notifies and waits.
    pub(super) async fn drive(
        &self,
        row: BuyingJob,
        asked: AskedFor,
        log: &PurchaseLog,
    ) -> Result<Answer, Failed> {
        let rows = self.ledger.watch(&row);
        let mut row = self.ledger.reread(&row).await;
        self.give_up_unwanted(&row, log).await?;
        let sealed = self.uploader.sealed_request(&row).await.map_err(Failed::unavailable)?;
        let is_planned = row.state == BuyingState::Planned;
        let first = sealed.clone().filter(|sealed| is_planned && self.uploader.is_stored_first(sealed));
        let is_stored_first = first.is_some();
        if let Some(sealed) = first {
            row = self.uploader.store_first(row, sealed).await?;
            // That may have taken a minute.
            self.give_up_unwanted(&row, log).await?;
        }
        let began_ms = self.clock.unix_millis();
        let uploading = async { is_stored_first || self.uploader.upload(&row, sealed).await };
        tokio::pin!(uploading);
        let mut uploaded = None;
        let submitted = self.submit(&row, &mut uploading, &mut uploaded).await?;
        KillPoint::BuyingSubmitted.pass();
        let _posting = self.poster.in_block.enter(submitted.hash, (row.request_id, row.attempt));
        let posting = self.poster.follow(&row, submitted, log);
        let notifying = self.notifier.notify(&row);
        let waiting = self.collector.wait((&row, asked), rows, log);
        tokio::pin!(notifying, posting, waiting);
        let (mut notified, mut posted, mut is_told) = (false, false, false);
        loop {
            if uploaded == Some(false) {
                if !posted {
                    posting.await;
                }
                let reason = "the Bee node does not store the request: see its log, and `t4t doctor`";
                return Err(Failed::unavailable(reason));
            }
            if uploaded == Some(true) && !is_told {
                KillPoint::BuyingUploaded.pass();
                is_told = true;
            }
            tokio::select! {
                end = &mut waiting => {
                    let slow_ms = self.clock.unix_millis().saturating_sub(began_ms);
                    let is_unstored = uploaded.is_none() && slow_ms >= OWN_FAULT_MS;
                    return self.uploader.blame_own_node(end, is_unstored).await;
                }
                // Whoever can't read the request yet is not told of it: peers ask once.
                end = &mut uploading, if uploaded.is_none() => uploaded = Some(end),
                () = &mut notifying, if uploaded == Some(true) && !notified => notified = true,
                () = &mut posting, if !posted => posted = true,
            }
        }
    }

    /// Submits the payment while the request is being uploaded: neither depends on the other, and a payment without a
    /// request comes back as a refusal.
    async fn submit(
        &self,
        row: &BuyingJob,
        uploading: &mut Pin<&mut impl Future<Output = bool>>,
        uploaded: &mut Option<bool>,
    ) -> Result<TransactionStatus, Failed> {
        let submitting = self.poster.submit(row);
        tokio::pin!(submitting);
        loop {
            tokio::select! {
                submitted = &mut submitting => return submitted,
                end = &mut *uploading, if uploaded.is_none() => *uploaded = Some(end),
            }
        }
    }

    /// Ends an attempt that nothing was paid for and nobody wants any more.
    async fn give_up_unwanted(&self, row: &BuyingJob, log: &PurchaseLog) -> Result<(), Failed> {
        if row.state != BuyingState::Planned || log.is_wanted() || self.poster.is_submitted(row).await {
            return Ok(());
        }
        let reason = "the app hung up before anything was paid".to_owned();
        self.ledger.record(row, BuyingStep::PostFailed { reason: reason.clone() }).await;
        Err(Failed::unavailable(reason))
    }
}
