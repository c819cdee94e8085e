//! The rows of sold jobs: every change goes through here.

use t4t_clock::SharedClock;
use t4t_protocol::job::SellingEvent;
use t4t_store::selling::{SellingChange, SellingJob};
use t4t_store::{Store, StoreError};
use t4t_types::JobId;
use tracing::warn;

use crate::chronicle::Chronicle;

/// How often a change is tried again when another one came first.
const CONFLICT_RETRIES: u32 = 16;

/// Applies events to rows.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) store: Store,
    pub(super) chronicle: Chronicle,
    clock: SharedClock,
}

impl Ledger {
    pub(super) fn new(store: Store, chronicle: Chronicle, clock: SharedClock) -> Self {
        Self { store, chronicle, clock }
    }

    /// Stores a job that was found on the chain; `false` if it was found before.
    pub(super) async fn found(&self, row: &SellingJob) -> Result<bool, StoreError> {
        let is_new = self.store.selling_insert(row).await?;
        if is_new {
            let detail = format!(
                "client {}, model {}, escrow {} xBZZ, request {}{}",
                row.client,
                row.model,
                row.max_payment,
                row.request_hash,
                row.reason.as_ref().map(|reason| format!(", refused: {reason}")).unwrap_or_default()
            );
            self.chronicle.note(row, row.state.as_str(), detail);
        }
        Ok(is_new)
    }

    /// Applies an event to a row and returns the row as it is then; `None` if the event can't happen to it any more.
    pub(super) async fn happened(
        &self,
        job: JobId,
        event: SellingEvent,
        change: SellingChange,
    ) -> Result<Option<SellingJob>, StoreError> {
        for _ in 0..CONFLICT_RETRIES {
            let Some(row) = self.store.selling_by_job(job).await? else { return Ok(None) };
            let next = match row.state.apply(event) {
                Ok(next) => next,
                Err(illegal) => {
                    warn!(%job, %illegal, "an event was ignored");
                    return Ok(None);
                }
            };
            if next == row.state && event != SellingEvent::Began {
                return Ok(Some(row));
            }
            match self.store.selling_move(job, row.state, next, &change, self.clock.unix_millis()).await {
                Ok(()) => {
                    self.chronicle.note(&row, event.as_str(), describe(&change));
                    return self.store.selling_by_job(job).await;
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict { what: format!("job {job}"), expected: "still".into() })
    }
}

fn describe(change: &SellingChange) -> String {
    let mut parts = Vec::new();
    parts.extend(change.usage.map(|usage| format!("{} + {} tokens", usage.prompt, usage.completion)));
    parts.extend(change.payment.map(|payment| format!("costs {payment} xBZZ")));
    parts.extend(change.response_hash.map(|hash| format!("answer {hash}")));
    parts.extend(change.paid.map(|paid| format!("paid {paid} xBZZ")));
    parts.extend(change.reason.clone());
    parts.join(", ")
}
