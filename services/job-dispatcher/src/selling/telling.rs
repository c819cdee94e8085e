//! Telling a client of its job: on the chain that it was begun, and by messages, which are hints.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::settlement::{EscrowIntent, SubmitTransaction, TransactionKey};
use t4t_protocol::{JobAck, JobDeliver, OutgoingMessage, client_topic};
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use tracing::{debug, warn};

use super::service::Seller;
use super::work::LONGEST_PAUSE;

/// What an answer is expected to take, for the client's information: the reference states the same minute.
const ESTIMATED_SECONDS: u64 = 60;

/// Pauses before an answer is announced again: nothing acknowledges the announcement, and messages get lost.
const ANNOUNCE_AGAIN: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(15)];

impl Seller {
    /// Acknowledges on the chain and by message; neither is waited for.
    pub(super) fn acknowledge(self: &Arc<Self>, row: &SellingJob) {
        let (seller, row) = (Arc::clone(self), row.clone());
        tokio::spawn(async move {
            futures_util::future::join(seller.ack_on_chain(&row), seller.tell_ack(&row)).await;
        });
    }

    /// Sends the acknowledgement, again and again while it can still be in time.
    async fn ack_on_chain(&self, row: &SellingJob) {
        let job = row.job;
        loop {
            let ack = SubmitTransaction {
                key: TransactionKey::ack(job),
                intent: EscrowIntent::AckJob { job }.into(),
            };
            let Err(error) = self.settlement.ask(ack).await else { break };
            warn!(%job, %error, "a job could not be acknowledged yet");
            if !self.chain_now().await.is_ok_and(|chain_now| chain_now < row.ack_deadline) {
                return;
            }
            self.clock.sleep(LONGEST_PAUSE).await;
        }
        KillPoint::SellingAcked.pass();
    }

    /// Tells the client that its job was begun, if it said where to tell it.
    pub(super) async fn tell_ack(&self, row: &SellingJob) {
        let estimated_completion = self.clock.now().plus(ESTIMATED_SECONDS);
        let ack = JobAck { routing_id: row.request_hash.routing_id(), estimated_completion, ext: None };
        if self.tell(row, OutgoingMessage::JobAck(ack)).await {
            self.told_ack.insert_of_few(row.job);
        }
    }

    /// Announces an answer a few times more: nothing acknowledges it, and messages get lost.
    pub(super) fn announce_again(self: &Arc<Self>, row: SellingJob) {
        let seller = Arc::clone(self);
        tokio::spawn(async move {
            for pause in ANNOUNCE_AGAIN {
                seller.clock.sleep(pause).await;
                seller.announce(&row).await;
            }
        });
    }

    /// Tells the client where its answer lies, if it said where to tell it.
    pub(super) async fn announce(&self, row: &SellingJob) {
        let Some(response_hash) = row.response_hash else { return };
        // A client of version 1 that waits for the acknowledgement does not read what comes without one: late, and before
        // the delivery, rather than never.
        if !self.told_ack.contains(&row.job) {
            self.tell_ack(row).await;
        }
        let deliver = JobDeliver { routing_id: row.request_hash.routing_id(), response_hash, ext: None };
        self.tell(row, OutgoingMessage::JobDeliver(deliver)).await;
    }

    /// `true` if a message was sent, which is no proof that it arrived.
    async fn tell(&self, row: &SellingJob, message: OutgoingMessage) -> bool {
        let kind = message.kind();
        let notice = match self.ledger.store.notice_by_request(row.client, row.request_hash).await {
            Ok(Some(notice)) => notice,
            Ok(None) => return false,
            Err(error) => {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "a message could not be addressed");
                return false;
            }
        };
        let sent = match self.courier.sign(row.client, message).await {
            Ok(message) => self.courier.send(&client_topic(row.client), notice.client_overlay, message).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &sent {
            debug!(job = %row.job, ?kind, %error, "a message could not be sent; the chain tells the client");
        }
        sent.is_ok()
    }
}
