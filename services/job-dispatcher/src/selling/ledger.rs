//! The rows of sold jobs: every change goes through here.

use t4t_clock::SharedClock;
use t4t_protocol::job::{SellingEvent, SellingState};
use t4t_store::selling::{SellingChange, SellingJob};
use t4t_store::{Store, StoreError};
use t4t_types::{JobId, Xbzz};
use tracing::{debug, warn};

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
                Err(illegal) if is_overtaken(row.state, event) => {
                    debug!(%job, %illegal, "a step came after the job's end");
                    return Ok(None);
                }
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

/// What a claim on the chain makes of a job: a claim of nothing ends a refusal, and is told again after a restart or
/// where the chain was read before its event came.
pub(super) fn end_of(state: SellingState, paid: Xbzz) -> SellingEvent {
    match state {
        SellingState::Refusing => SellingEvent::Refused,
        SellingState::Refused if paid.is_zero() => SellingEvent::Refused,
        _ => SellingEvent::Claimed,
    }
}

/// Whether work on a job went on for a moment after the job was refused or over: the row says what holds.
fn is_overtaken(state: SellingState, event: SellingEvent) -> bool {
    use SellingEvent as Event;
    let is_work = matches!(event, Event::Began | Event::Answered | Event::Uploaded | Event::RefusalDecided);
    is_work && (state.is_final() || state == SellingState::Refusing)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_is_told_again_contradicts_nothing() {
        for state in [SellingState::Refusing, SellingState::Refused] {
            assert_eq!(state.apply(end_of(state, Xbzz::ZERO)), Ok(SellingState::Refused), "{state}");
        }
        for state in [SellingState::Uploaded, SellingState::Claimed] {
            assert_eq!(state.apply(end_of(state, Xbzz::from_plur(1))), Ok(SellingState::Claimed), "{state}");
        }
    }

    #[test]
    fn what_contradicts_the_chain_is_told_and_what_only_comes_late_is_not() {
        let paid = Xbzz::from_plur(1);
        let illegal: Vec<(SellingState, SellingEvent)> = SellingState::ALL
            .iter()
            .flat_map(|&state| SellingEvent::ALL.iter().map(move |&event| (state, event)))
            .filter(|(state, event)| state.apply(*event).is_err())
            .collect();
        let is_told = |state, event| illegal.contains(&(state, event)) && !is_overtaken(state, event);
        assert!(is_told(SellingState::Refused, end_of(SellingState::Refused, paid)), "refused, and paid");
        assert!(is_told(SellingState::Claimed, SellingEvent::Lost), "paid, and taken back");
        assert!(is_told(SellingState::Claimed, SellingEvent::Refused), "paid, and refused");
        assert!(is_told(SellingState::Uploaded, SellingEvent::Began), "a second run");
        assert!(!is_told(SellingState::Refusing, SellingEvent::Answered), "an answer after the deadline");
        assert!(!is_told(SellingState::Refused, SellingEvent::RefusalDecided), "refused twice");
    }
}
