//! Apps that hang up: what that cost is said in the log and in the job's history.
//!
//! Version 1 has no message that calls a job back: once its payment is in escrow, the provider may serve and claim it.

use std::sync::Arc;

use t4t_api::job_dispatcher::BuyAnswer;
use t4t_protocol::job::BuyingState;
use t4t_store::buying::BuyingJob;
use t4t_types::RequestId;
use tracing::{info, warn};

use super::board::Purchase;
use super::service::Buyer;

impl Buyer {
    /// Runs a purchase to its end, and after it that of whoever asked again when it had been given up.
    pub(super) async fn run_purchases(self: Arc<Self>, mut call: BuyAnswer, mut purchase: Arc<Purchase>) {
        let id = call.id;
        loop {
            let running = Box::pin(Arc::clone(&self).run_purchase(call, Arc::clone(&purchase)));
            tokio::select! {
                biased;
                () = running => {}
                never = self.note_leaving(id, &purchase) => match never {},
            }
            self.note_unread(id, &purchase).await;
            match self.board.next(id) {
                Some(next) => (call, purchase) = next,
                None => return,
            }
        }
    }

    /// Notes when the last app that followed a purchase hung up before its answer was there.
    async fn note_leaving(&self, id: RequestId, purchase: &Purchase) -> std::convert::Infallible {
        purchase.left().await;
        if purchase.cost().is_none() {
            match self.newest(id).await.filter(|row| !row.state.is_final()) {
                Some(row) => self.ledger.chronicle.note(&row, "app hung up", at_stake(&row)),
                None => info!(request = %id, "the app hung up before anything was paid: nothing is posted"),
            }
        }
        std::future::pending().await
    }

    /// Notes an answer that nobody waited for.
    async fn note_unread(&self, id: RequestId, purchase: &Purchase) {
        let Some(cost) = purchase.cost().filter(|_| !purchase.is_read()) else { return };
        let Some(row) = self.newest(id).await else { return };
        let detail = format!("it cost {cost} xBZZ; the same request gets it without paying again");
        self.ledger.chronicle.note(&row, "answer unread", detail);
    }

    async fn newest(&self, id: RequestId) -> Option<BuyingJob> {
        match self.ledger.store.buying_by_request(id).await {
            Ok(mut rows) => rows.pop(),
            Err(error) => {
                warn!(request = %id, error = &error as &dyn std::error::Error, "a request's jobs can't be read");
                None
            }
        }
    }
}

/// What an app that leaves now leaves behind.
fn at_stake(row: &BuyingJob) -> String {
    let escrow = row.max_payment;
    match row.state {
        BuyingState::Planned => format!("{escrow} xBZZ may be on their way into escrow"),
        _ => format!(
            "{escrow} xBZZ are in escrow and can't be called back: the provider is paid for its answer, and what it \
             does not claim comes back; the same request joins it until then"
        ),
    }
}
