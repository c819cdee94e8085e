//! Acknowledging on the chain that a job was begun.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::Settlement;
use t4t_api::settlement::{EscrowIntent, SubmitTransaction, TransactionKey};
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use tracing::warn;

use super::announcer::Announcer;
use super::chain::Chain;
use crate::selling::tasks::spawn_for;

/// The pause before an acknowledgement is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Acknowledges jobs.
#[derive(Clone)]
pub(super) struct Acks {
    pub(super) settlement: Arc<dyn Settlement>,
    pub(super) chain: Chain,
    pub(super) announcer: Announcer,
}

impl Acks {
    /// Acknowledges on the chain and by message; neither is waited for.
    pub(super) fn acknowledge(&self, row: &SellingJob) {
        let (acks, row) = (self.clone(), row.clone());
        spawn_for(row.job, async move {
            futures_util::future::join(acks.on_chain(&row), acks.announcer.tell_begun(&row)).await;
        });
    }

    /// Sends the acknowledgement, again and again while it can still be in time.
    async fn on_chain(&self, row: &SellingJob) {
        let job = row.job;
        loop {
            let ack = SubmitTransaction {
                key: TransactionKey::ack(job),
                intent: EscrowIntent::AckJob { job }.into(),
            };
            let Err(error) = self.settlement.ask(ack).await else { break };
            warn!(%job, %error, "a job could not be acknowledged yet");
            if !self.chain.now().await.is_ok_and(|chain_now| chain_now < row.ack_deadline) {
                return;
            }
            self.chain.clock.sleep(RETRY).await;
        }
        KillPoint::SellingAcked.pass();
    }
}
