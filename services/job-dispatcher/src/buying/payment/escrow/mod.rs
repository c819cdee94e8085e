//! Version 1: what a request may cost is put into escrow before its provider begins, the provider claims of it what the
//! answer cost, and what is not claimed in time is taken back.
//!
//! ```text
//! order ─► planning ─► driving ─► uploading, posting, noticing side by side ─► collecting
//!             │                                                                     ▲
//!             ▼                                                                     │
//!          ledger: the rows; whoever changes one tells whoever waits for it ────────┘
//!             ▲
//! following (chain, messages) ─► claims     sweeping: what is overdue is taken back
//! ```

mod claims;
mod collecting;
mod delivering;
mod driving;
mod following;
mod in_block;
mod ledger;
mod noticing;
mod overlay;
mod planning;
mod posting;
mod ready;
mod sweeping;
#[cfg(test)]
mod upgraded;
mod uploading;
mod wiring;

use async_trait::async_trait;
use t4t_api::job_dispatcher::{BuyingError, BuyingProgress};
use t4t_protocol::job::BuyingState;
use t4t_store::StoreError;
use t4t_store::buying::BuyingJob;
use t4t_types::{JobId, RequestId, UnixSeconds};
use tracing::warn;

use self::claims::Claims;
use self::collecting::outcome;
use self::delivering::Redelivery;
use self::driving::Driver;
use self::following::Follower;
use self::ledger::Ledger;
use self::planning::Planner;
use self::ready::Ready;
use self::sweeping::Sweeper;
pub(in crate::buying) use self::wiring::{EscrowConfig, EscrowDeps};
use super::{Delivered, Earlier, Failed, Note, Order, PaymentMethod, Recovered};
use crate::buying::log::PurchaseLog;
use crate::buying::wanted::Wanted;

/// A row without a transaction is given up once it is this old: submitting one takes at most two minutes.
const NEVER_PAID_AFTER_MS: u64 = 180_000;

/// The escrow of version 1.
pub(in crate::buying) struct Escrow {
    planner: Planner,
    driver: Driver,
    redelivery: Redelivery,
    claims: Claims,
    ledger: Ledger,
    follower: Follower,
    sweeper: Sweeper,
    ready: Ready,
}

#[async_trait]
impl PaymentMethod for Escrow {
    async fn ready(&self) -> Result<(), BuyingError> {
        self.ready.look().await
    }

    async fn earlier(&self, request: RequestId) -> Result<Vec<Earlier>, BuyingError> {
        let rows = self.ledger.store.buying_by_request(request).await;
        let rows = rows.map_err(|error| BuyingError::Unavailable { reason: error.to_string() })?;
        Ok(rows.iter().map(Earlier::from).collect())
    }

    async fn order(&self, order: Order<'_>, log: &PurchaseLog) -> Result<Delivered, Failed> {
        let row = self.planner.plan(&order).await?;
        let asked = order.wanted.asked;
        // The row counts by itself from here on.
        drop(order.hold);
        let (provider, prices, max_payment) = (row.provider, row.prices, row.max_payment);
        log.push(BuyingProgress::Selected { provider, prices, max_payment });
        let id = (row.request_id, row.attempt);
        let answer = self.driver.drive(row, asked, log).await?;
        Ok(Delivered { id, provider, answer })
    }

    async fn resume(
        &self,
        attempt: u32,
        wanted: &Wanted<'_>,
        log: &PurchaseLog,
    ) -> Result<Delivered, Failed> {
        let id = (wanted.call.id, attempt);
        let row = self.ledger.store.buying_by_attempt(id).await.map_err(Failed::unavailable)?;
        let Some(row) = row else { return Err(Failed::unavailable("the request's job is gone")) };
        let provider = row.provider;
        let answer = self.driver.drive(row, wanted.asked, log).await?;
        Ok(Delivered { id, provider, answer })
    }

    async fn judge(&self, delivered: &Delivered) -> Option<JobId> {
        self.claims.judge(delivered).await.and_then(|row| row.job)
    }

    async fn job(&self, delivered: &Delivered) -> Option<JobId> {
        self.ledger.as_it_is_now(delivered.id).await.and_then(|row| row.job)
    }

    async fn note(&self, request: RequestId, attempt: Option<u32>, note: Note) -> bool {
        let row = match self.ledger.store.buying_by_request(request).await {
            Ok(rows) => rows.into_iter().rfind(|row| attempt.is_none_or(|attempt| row.attempt == attempt)),
            Err(error) => {
                warn!(%request, error = &error as &dyn std::error::Error, "a request's jobs can't be read");
                None
            }
        };
        let Some(row) = row.filter(|row| note != Note::HungUp || !row.state.is_final()) else { return false };
        let (event, detail) = match note {
            Note::HungUp => ("app hung up", at_stake(&row)),
            Note::Unread(cost) => (
                "answer unread",
                format!("it cost {cost} xBZZ; the same request gets it without paying again"),
            ),
            Note::Answered(cost) => ("answered", format!("cost {cost} xBZZ")),
        };
        self.ledger.chronicle.note(&row, event, detail);
        true
    }

    async fn recover(&self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        for row in self.ledger.store.buying_list_open().await? {
            self.sweeper.find_job(&row).await;
            let id = (row.request_id, row.attempt);
            let Some(row) = self.ledger.store.buying_by_attempt(id).await? else { continue };
            count(&mut recovered, &row, self.driver.clock.now());
            if !row.state.is_final() {
                self.ledger.took_up(&row);
            }
            if matches!(row.state, BuyingState::Planned | BuyingState::Posted) {
                // The payment is on its way or in escrow: the provider must be able to find the request.
                let redelivery = self.redelivery.clone();
                tokio::spawn(async move { redelivery.deliver(&row).await });
            }
        }
        Ok(recovered)
    }

    async fn sweep_once(&self) {
        self.sweeper.sweep_once().await;
    }
}

impl From<&BuyingJob> for Earlier {
    fn from(row: &BuyingJob) -> Self {
        let is_claimed = row.state == BuyingState::Claimed;
        Self {
            attempt: row.attempt,
            provider: row.provider,
            may_be_paid: !row.state.is_final() || (is_claimed && row.paid.is_none_or(|paid| !paid.is_zero())),
            may_answer: !row.state.is_final() || (is_claimed && row.response_hash.is_some()),
            failed: outcome(row),
        }
    }
}

fn count(recovered: &mut Recovered, row: &BuyingJob, now: UnixSeconds) {
    match row.state {
        BuyingState::NotPosted => recovered.never_paid += 1,
        BuyingState::Delivered => recovered.answered += 1,
        state if state.is_final() => {}
        _ if row.delivery_deadline < now => recovered.overdue += 1,
        _ => {
            recovered.waiting += 1;
            recovered.in_escrow = recovered.in_escrow.saturating_add(row.max_payment);
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
