//! Telling a client of its job by messages, which are hints: the chain tells the same.

use std::sync::Arc;
use std::time::Duration;

use t4t_clock::SharedClock;
use t4t_protocol::{JobAck, JobDeliver, OutgoingMessage, client_topic};
use t4t_store::Store;
use t4t_store::selling::SellingJob;
use tracing::{debug, warn};

use crate::carriage::Courier;
use crate::selling::job_set::JobSet;
use crate::selling::tasks::spawn_for;

/// What an answer is expected to take, for the client's information: the reference states the same minute.
const ESTIMATED_SECONDS: u64 = 60;

/// Pauses before an answer is announced again: nothing acknowledges the announcement, and messages get lost.
const ANNOUNCE_AGAIN: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(15)];

/// Tells clients, where they said where to tell them.
#[derive(Clone)]
pub(super) struct Announcer {
    courier: Arc<dyn Courier>,
    store: Store,
    clock: SharedClock,
    /// Jobs whose client was told that they were begun; forgotten, it is told once more.
    told_begun: JobSet,
}

impl Announcer {
    pub(super) fn new(courier: Arc<dyn Courier>, store: Store, clock: SharedClock) -> Self {
        Self { courier, store, clock, told_begun: JobSet::default() }
    }

    /// Tells the client that its job was begun.
    pub(super) async fn tell_begun(&self, row: &SellingJob) {
        let estimated_completion = self.clock.now().plus(ESTIMATED_SECONDS);
        let ack = JobAck { routing_id: row.request_hash.routing_id(), estimated_completion, ext: None };
        if self.tell(row, OutgoingMessage::JobAck(ack)).await {
            self.told_begun.insert_of_few(row.job);
        }
    }

    /// Tells the client where its answer lies.
    pub(super) async fn announce(&self, row: &SellingJob) {
        let Some(response_hash) = row.response_hash else { return };
        // A client of version 1 that waits for the acknowledgement does not read what comes without one: late, and before
        // the delivery, rather than never.
        if !self.told_begun.contains(&row.job) {
            self.tell_begun(row).await;
        }
        let deliver = JobDeliver { routing_id: row.request_hash.routing_id(), response_hash, ext: None };
        self.tell(row, OutgoingMessage::JobDeliver(deliver)).await;
    }

    /// Announces an answer a few times more: nothing acknowledges it, and messages get lost.
    pub(super) fn announce_again(&self, row: SellingJob) {
        let announcer = self.clone();
        spawn_for(row.job, async move {
            for pause in ANNOUNCE_AGAIN {
                announcer.clock.sleep(pause).await;
                announcer.announce(&row).await;
            }
        });
    }

    /// `true` if a message was sent, which is no proof that it arrived.
    async fn tell(&self, row: &SellingJob, message: OutgoingMessage) -> bool {
        let kind = message.kind();
        let notice = match self.store.notice_by_request(row.client, row.request_hash).await {
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
