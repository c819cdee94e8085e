//! What the chain and the providers tell, turned into events of rows.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::registry_watcher::{GetJob, JobEvent, JobHappening, JobRole, WatchJobs};
use t4t_api::settlement::AwaitTransaction;
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_protocol::{Message, VerifiedEnvelope};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::{JobId, JobStatus, RoutingId, SwarmRef, TxHash, Xbzz};
use tracing::{debug, warn};

use super::ledger::AttemptId;
use super::paying::post_key;
use super::service::Buyer;
use crate::carriage::Inbox;

/// The name of this reader's cursor.
const CURSOR: &str = "buying";

/// Blocks before the cursor that are told again: the cursor moves before everything told is worked through.
const OVERLAP_BLOCKS: u64 = 24;

/// The cursor is stored once in this many blocks.
const CURSOR_BLOCKS: u64 = 8;

/// How long an event waits for its job's id.
const EARLY: Duration = Duration::from_secs(3);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait before the watcher is asked again.
const RETRY: Duration = Duration::from_secs(1);

impl Buyer {
    /// Follows the chain for as long as the process lives.
    pub(super) async fn follow_chain(self: Arc<Self>) {
        loop {
            if let Err(error) = self.follow_once().await {
                warn!(%error, "the chain can't be followed now");
            }
            self.clock.sleep(RETRY).await;
        }
    }

    async fn follow_once(self: &Arc<Self>) -> Result<(), Failure> {
        let cursor = self.ledger.store.cursor_by_name(CURSOR).await?;
        let since_block = cursor.map(|block| block.saturating_sub(OVERLAP_BLOCKS));
        let watch = WatchJobs { wallet: self.wallet, role: JobRole::Client, since_block };
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

    async fn on_chain(self: &Arc<Self>, event: &JobEvent) -> Result<(), Failure> {
        // After a reorganisation the id can be another request's than the one that has it here.
        let known = match self.row_of_transaction(event).await? {
            Some(row) => Some(row),
            None => self.ledger.store.buying_by_job(event.job).await?,
        };
        match known {
            Some(row) => self.on_event(&row, event).await,
            None => {
                // Settlement is about to tell the job's id; or it is another gateway's with the same wallet.
                let (buyer, event) = (Arc::clone(self), event.clone());
                tokio::spawn(async move { buyer.on_early_event(&event).await });
                Ok(())
            }
        }
    }

    /// The row of a job that was just posted, by its escrow transaction.
    async fn row_of_transaction(&self, event: &JobEvent) -> Result<Option<BuyingJob>, Failure> {
        if !matches!(event.what, JobHappening::Posted { .. }) {
            return Ok(None);
        }
        let id = match self.posting.attempt(&event.transaction) {
            Some(id) => id,
            None => match self.attempt_posted_by(event.transaction).await? {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        self.ledger.happened(id, BuyingStep::Posted { job: event.job }).await?;
        Ok(self.ledger.store.buying_by_attempt(id).await?)
    }

    /// The attempt without a job whose escrow transaction this is: it was answered, and a reorganisation took its job.
    async fn attempt_posted_by(&self, transaction: TxHash) -> Result<Option<AttemptId>, Failure> {
        let open = self.ledger.store.buying_list_open().await?;
        for row in open.iter().filter(|row| row.job.is_none()) {
            let ask = AwaitTransaction { key: post_key(row), wait_ms: 0 };
            if self.settlement.ask(ask).await.is_ok_and(|status| status.hash == transaction) {
                return Ok(Some((row.request_id, row.attempt)));
            }
        }
        Ok(None)
    }

    /// Takes an event of a job whose id was not known when it came.
    async fn on_early_event(&self, event: &JobEvent) {
        self.clock.sleep(EARLY).await;
        let taken = async {
            match self.row_of_job(event.job).await? {
                Some(row) => self.on_event(&row, event).await,
                None => Ok(()),
            }
        };
        if let Err(error) = taken.await {
            debug!(job = %event.job, %error, "an event could not be matched to a job; the sweep reads it");
        }
    }

    /// The row of a job; by its request's hash on the chain if its id is not known.
    async fn row_of_job(&self, job: JobId) -> Result<Option<BuyingJob>, Failure> {
        if let Some(row) = self.ledger.store.buying_by_job(job).await? {
            return Ok(Some(row));
        }
        let terms = self.watcher.ask(GetJob { job }).await?;
        let row = self.ledger.store.buying_by_routing_id(terms.request_hash.routing_id()).await?;
        let Some(row) = row.filter(|row| row.provider == terms.provider && terms.client == self.wallet)
        else {
            return Ok(None);
        };
        self.record(&row, BuyingStep::Posted { job }).await;
        Ok(self.ledger.store.buying_by_job(job).await?)
    }

    async fn on_event(&self, row: &BuyingJob, event: &JobEvent) -> Result<(), Failure> {
        let row = row.clone();
        match &event.what {
            JobHappening::Posted { .. } => {}
            JobHappening::Acked => self.acked(&row).await,
            JobHappening::Claimed { response_hash, paid } => self.claimed(&row, *response_hash, *paid).await,
            JobHappening::Cancelled { .. } => self.record(&row, BuyingStep::Cancelled).await,
            JobHappening::TimedOut { .. } => self.record(&row, BuyingStep::TimedOut).await,
            JobHappening::Reorganised => self.look_afresh(&row).await?,
        }
        Ok(())
    }

    async fn acked(&self, row: &BuyingJob) {
        self.record(row, BuyingStep::Acked).await;
        KillPoint::BuyingAcked.pass();
    }

    /// A claim of nothing is a refusal, whatever lies at its hash; any other is a delivery as well.
    pub(super) async fn claimed(&self, row: &BuyingJob, response_hash: SwarmRef, paid: Xbzz) {
        // No claim takes more than there was: whoever says so would use up the day's limit with it.
        let paid = paid.min(row.max_payment);
        self.trust.charged((row.request_id, row.attempt), paid).await;
        let known = (!response_hash.is_zero()).then_some(response_hash);
        // Also where an answer was announced before: what lies there is still read.
        let is_refusal = paid.is_zero() && row.max_payment > Xbzz::ZERO;
        if let Some(announced) = row.response_hash
            && known != Some(announced)
        {
            let detail = format!("announced {announced}, claimed {response_hash}");
            self.ledger.chronicle.note(row, "claimed another answer", detail);
        }
        // What is on the chain counts, whatever was announced.
        let step = if is_refusal {
            BuyingStep::Refused { reason_at: known }
        } else {
            BuyingStep::Claimed { response_hash: known, paid }
        };
        self.record(row, step).await;
    }

    /// Reads a job afresh after a reorganisation.
    async fn look_afresh(&self, row: &BuyingJob) -> Result<(), Failure> {
        let Some(job) = row.job else { return Ok(()) };
        let terms = self.watcher.ask(GetJob { job }).await?;
        // Ids are counted: with another job before it, the same transaction makes another id, and this one may be
        // another request's now.
        let forgets_job =
            terms.status == JobStatus::None || terms.is_of_another(row.request_hash, row.delivery_deadline);
        if !forgets_job && ends_as(row.state, terms.status) {
            return Ok(());
        }
        self.record(row, BuyingStep::Reorganised { forgets_job }).await;
        Ok(())
    }

    /// Takes the providers' messages for as long as the process lives.
    pub(super) async fn follow_messages(self: Arc<Self>, mut inbox: Inbox) {
        while let Some(envelope) = inbox.next().await {
            self.on_message(envelope).await;
        }
    }

    async fn on_message(&self, envelope: VerifiedEnvelope) {
        match &envelope.message {
            Message::JobAck(ack) => {
                if let Some(row) = self.row_of(&envelope, ack.routing_id).await {
                    self.acked(&row).await;
                }
            }
            Message::JobDeliver(deliver) => {
                let Some(row) = self.row_of(&envelope, deliver.routing_id).await else { return };
                if row.response_hash.is_some() {
                    return;
                }
                self.record(&row, BuyingStep::Delivered { response_hash: deliver.response_hash }).await;
                KillPoint::BuyingDelivered.pass();
            }
            Message::JobNotify(_) | Message::Unknown(_) => {}
        }
    }

    /// The row a message is about, if it comes from the provider that the job was given to.
    async fn row_of(&self, envelope: &VerifiedEnvelope, routing_id: RoutingId) -> Option<BuyingJob> {
        let row = match self.ledger.store.buying_by_routing_id(routing_id).await {
            Ok(row) => row?,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a message could not be matched to a job");
                return None;
            }
        };
        if row.provider != envelope.from {
            debug!(from = %envelope.from, request = %row.request_id, "a message about somebody else's job was dropped");
            return None;
        }
        Some(row)
    }
}

/// Whether the chain shows the end that a row has.
fn ends_as(state: BuyingState, status: JobStatus) -> bool {
    match state {
        BuyingState::Claimed | BuyingState::Refused => status == JobStatus::Claimed,
        BuyingState::Cancelled => status == JobStatus::Cancelled,
        BuyingState::TimedOut => status == JobStatus::TimedOut,
        _ => false,
    }
}
