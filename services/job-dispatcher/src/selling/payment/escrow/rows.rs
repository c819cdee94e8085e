//! The rows of sold jobs: every change goes through here.

use t4t_clock::SharedClock;
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::selling::{SellingJob, SellingRow};
use t4t_store::{Store, StoreError};
use t4t_types::Xbzz;
use tracing::{debug, warn};

use crate::chronicle::Chronicle;

/// How often a change is tried again when another one came first.
const CONFLICT_RETRIES: u32 = 16;

/// Applies events to rows.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) store: Store,
    chronicle: Chronicle,
    clock: SharedClock,
}

impl Rows {
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

    /// Applies a step to a row and returns the row as it is then; `None` if the step can't happen to it any more.
    pub(super) async fn happened(
        &self,
        of: impl Into<SellingRow>,
        step: SellingStep,
    ) -> Result<Option<SellingJob>, StoreError> {
        let of = of.into();
        let job = of.job;
        for _ in 0..CONFLICT_RETRIES {
            let Some(row) = self.store.selling_by_job(job).await? else { return Ok(None) };
            let next = match row.state.apply(&step) {
                Ok(next) => next,
                Err(illegal) if is_overtaken(row.state, &step) => {
                    debug!(%job, %illegal, "a step came after the job's end");
                    return Ok(None);
                }
                Err(illegal) => {
                    warn!(%job, %illegal, "a step was ignored");
                    return Ok(None);
                }
            };
            let tells_amount = row.paid.is_none() && step.paid().is_some();
            if next == row.state && step != SellingStep::Began && !tells_amount {
                return Ok(Some(row));
            }
            match self.store.selling_move(of, row.state, &step, self.clock.unix_millis()).await {
                Ok(()) => {
                    self.chronicle.note(&row, step.as_str(), describe(&step));
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
pub(super) fn end_of(state: SellingState, paid: Xbzz) -> SellingStep {
    match state {
        SellingState::Refusing => SellingStep::Refused,
        SellingState::Refused if paid.is_zero() => SellingStep::Refused,
        _ => SellingStep::Claimed { paid },
    }
}

/// Whether work on a job went on for a moment after the job was refused or over: the row says what holds.
fn is_overtaken(state: SellingState, step: &SellingStep) -> bool {
    step.is_work() && (state.is_final() || state == SellingState::Refusing)
}

fn describe(step: &SellingStep) -> String {
    let mut parts = Vec::new();
    if let Some((usage, payment)) = step.bill() {
        parts.push(format!("{} + {} tokens", usage.prompt, usage.completion));
        parts.push(format!("costs {payment} xBZZ"));
    }
    parts.extend(step.response_hash().map(|hash| format!("answer {hash}")));
    parts.extend(step.paid().map(|paid| format!("paid {paid} xBZZ")));
    parts.extend(step.reason().map(str::to_owned));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use t4t_types::TokenUsage;

    use super::*;

    #[test]
    fn a_refusal_that_is_told_again_contradicts_nothing() {
        for state in [SellingState::Refusing, SellingState::Refused] {
            assert_eq!(state.apply(&end_of(state, Xbzz::ZERO)), Ok(SellingState::Refused), "{state}");
        }
        for state in [SellingState::Uploaded, SellingState::Claimed] {
            assert_eq!(state.apply(&end_of(state, Xbzz::from_plur(1))), Ok(SellingState::Claimed), "{state}");
        }
    }

    #[test]
    fn what_contradicts_the_chain_is_told_and_what_only_comes_late_is_not() {
        let is_told = |state: SellingState, step: SellingStep| {
            state.apply(&step).is_err() && !is_overtaken(state, &step)
        };
        let (usage, payment) = (TokenUsage { prompt: 1, completion: 1 }, Xbzz::from_plur(1));
        let answered = SellingStep::Answered { sealed: Bytes::new(), usage, payment };
        let refusing = SellingStep::RefusalDecided { reason: String::new(), explanation: None };
        let paid = end_of(SellingState::Refused, payment);
        assert!(is_told(SellingState::Refused, paid), "refused, and paid");
        let lost = SellingStep::Lost { reason: String::new() };
        assert!(is_told(SellingState::Claimed, lost), "paid, and taken back");
        assert!(is_told(SellingState::Claimed, SellingStep::Refused), "paid, and refused");
        assert!(is_told(SellingState::Uploaded, SellingStep::Began), "a second run");
        assert!(!is_told(SellingState::Refusing, answered), "an answer after the deadline");
        assert!(!is_told(SellingState::Refused, refusing), "refused twice");
    }
}
