//! What the chain and the clients tell.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::registry_watcher::{JobEvent, JobHappening, JobRole, LookClosely, WatchJobs};
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_protocol::{JobNotify, Message};
use t4t_store::notices::Notice;
use t4t_store::selling::SellingJob;
use t4t_types::{Address, JobId, SwarmRef, Xbzz};
use tracing::{debug, error, warn};

use super::allowance::Allowance;
use super::ledger::end_of;
use super::service::Seller;
use crate::carriage::Inbox;

/// The name of this reader's cursor.
const CURSOR: &str = "selling";

/// Blocks before the cursor that are told again: the cursor moves before everything told is worked through.
const OVERLAP_BLOCKS: u64 = 24;

/// The cursor is stored once in this many blocks.
const CURSOR_BLOCKS: u64 = 8;

/// How long to wait before the watcher is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// For how long the chain is looked at closely after a notice: the job it tells of is due within a block or two.
const LOOK_CLOSELY_MS: u64 = 20_000;

impl Seller {
    /// Follows the chain for as long as the process lives.
    pub(super) async fn follow_chain(self: Arc<Self>) {
        loop {
            if let Err(error) = self.follow_once().await {
                warn!(%error, "the chain can't be followed now");
            }
            self.clock.sleep(RETRY).await;
        }
    }

    async fn follow_once(self: &Arc<Self>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let cursor = self.ledger.store.cursor_by_name(CURSOR).await?;
        // The very first start takes up what was posted while nobody was there.
        let since_block = Some(cursor.unwrap_or(0).saturating_sub(OVERLAP_BLOCKS));
        let watch = WatchJobs { wallet: self.wallet, role: JobRole::Provider, since_block };
        let mut events = self.watcher.open(watch).await?;
        let mut moved_at = 0;
        while let Some(event) = events.next().await {
            let event = event?;
            self.on_chain(&event).await?;
            if event.block >= moved_at + CURSOR_BLOCKS {
                self.ledger.store.cursor_set(CURSOR, event.block).await?;
                moved_at = event.block;
            }
        }
        Ok(())
    }

    async fn on_chain(self: &Arc<Self>, event: &JobEvent) -> Result<(), t4t_store::StoreError> {
        let job = event.job;
        match &event.what {
            JobHappening::Posted { .. } => {
                self.courtesy.job_came();
                self.taken_back.remove(&job);
                // Jobs are taken in side by side: one slow read must not hold up the others' acknowledgements.
                tokio::spawn(Arc::clone(self).consider(job, event.block));
            }
            JobHappening::Acked => {}
            JobHappening::Claimed { response_hash, paid } => self.claimed(job, *response_hash, *paid).await?,
            JobHappening::Cancelled { slash } => self.lost(job, "cancelled", *slash).await?,
            JobHappening::TimedOut { slash } => self.lost(job, "timed out", *slash).await?,
            JobHappening::Reorganised => {
                self.taken_back.insert_of_few(job);
                self.reorganised(job).await?;
            }
        }
        Ok(())
    }

    async fn claimed(
        &self,
        job: JobId,
        response_hash: SwarmRef,
        paid: Xbzz,
    ) -> Result<(), t4t_store::StoreError> {
        let Some(row) = self.ledger.store.selling_by_job(job).await? else { return Ok(()) };
        if row.response_hash.is_some_and(|ours| ours != response_hash) {
            warn!(%job, %response_hash, "the chain shows a claim that this database does not know");
        }
        self.ledger.happened(job, end_of(row.state, paid)).await?;
        Ok(())
    }

    async fn lost(&self, job: JobId, how: &str, slash: Xbzz) -> Result<(), t4t_store::StoreError> {
        let Some(row) = self.ledger.store.selling_by_job(job).await? else { return Ok(()) };
        if matches!(row.state, SellingState::Claimed | SellingState::Refused) {
            // An event of before a reorganisation, or the first that is heard of one: the chain tells which.
            self.look_up(&row).await;
            return Ok(());
        }
        error!(%job, %slash, "a job was {how} by its client and stake was burned: see `t4t jobs show {job}`");
        let reason = format!("{how} by the client, {slash} xBZZ of the stake burned");
        self.ledger.happened(job, SellingStep::Lost { reason }).await?;
        Ok(())
    }

    async fn reorganised(self: &Arc<Self>, job: JobId) -> Result<(), t4t_store::StoreError> {
        let Some(row) = self.ledger.store.selling_by_job(job).await? else { return Ok(()) };
        self.look_up(&row).await;
        Ok(())
    }

    /// Takes the clients' notices for as long as the process lives.
    pub(super) async fn follow_messages(self: Arc<Self>, mut inbox: Inbox) {
        let mut allowance = Allowance::default();
        while let Some(envelope) = inbox.next().await {
            if let Message::JobNotify(notify) = &envelope.message
                && allowance.take(envelope.from, self.clock.unix_millis())
            {
                self.on_notice(envelope.from, notify).await;
            }
        }
    }

    async fn on_notice(self: &Arc<Self>, from: Address, notify: &JobNotify) {
        if notify.request_hash.routing_id() != notify.routing_id {
            debug!(%from, "a notice that contradicts itself was dropped");
            return;
        }
        let now_ms = self.clock.unix_millis();
        let hint = async {
            if self.courtesy.may_look(now_ms) {
                // Only a hint: without it the job is found a second later.
                let _hint = self.watcher.ask(LookClosely { for_ms: LOOK_CLOSELY_MS }).await;
            }
        };
        let notice = Notice {
            client: from,
            request_hash: notify.request_hash,
            client_key: notify.client_key,
            client_overlay: notify.client_overlay,
            // Nothing that a peer names is dialled, so there is nothing to keep.
            reply_url: None,
        };
        let kept = self.ledger.store.notice_insert(&notice, now_ms);
        let ((), kept) = futures_util::future::join(hint, kept).await;
        if let Err(error) = kept {
            warn!(error = &error as &dyn std::error::Error, "a notice could not be kept");
            return;
        }
        // Only the row of the very client that signed the notice: nobody else's answer is announced to it.
        match self.ledger.store.selling_by_request(from, notify.request_hash).await {
            Ok(Some(row)) if self.courtesy.may_answer(row.job, row.created_at_ms, now_ms) => {
                self.answer_notice(row)
            }
            Ok(_) => {}
            Err(error) => warn!(error = &error as &dyn std::error::Error, "a notice could not be matched"),
        }
    }

    /// Tells a client again what there is to tell; others' notices don't wait for that.
    fn answer_notice(self: &Arc<Self>, row: SellingJob) {
        let seller = Arc::clone(self);
        tokio::spawn(async move {
            if has_answer(&row) {
                seller.announce(&row).await;
            } else if is_under_way(&row) {
                // Begun before the client said where to tell it.
                seller.tell_ack(&row).await;
            }
        });
    }
}

fn has_answer(row: &SellingJob) -> bool {
    matches!(row.state, SellingState::Uploaded | SellingState::Claimed)
}

fn is_under_way(row: &SellingJob) -> bool {
    matches!(row.state, SellingState::Working | SellingState::Answered)
}
