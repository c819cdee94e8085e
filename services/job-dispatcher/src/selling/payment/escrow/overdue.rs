//! Claims and refusals that are in no block although their deadline comes near: said loudly, and no more work is taken on
//! until they are.

use std::collections::HashMap;

use t4t_panics::Lock;
use t4t_protocol::job::SellingState;
use t4t_runtime::alarm::Alarm;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, UnixSeconds};
use tracing::{error, info};

use crate::selling::problem::{Problem, SharedProblem};

/// How long a claim may take to get into a block: some blocks, and a fee that was raised.
const PATIENCE_MS: u64 = 20_000;

/// A deadline that is this near, in chain seconds, does not wait for more patience.
const NEAR_SECONDS: u64 = 120;

/// However far the deadline, a claim that takes this long says that something is wrong.
const LONG_MS: u64 = 60_000;

const NEXT_STEP: &str =
    "check GNOSIS_RPC_URL and the wallet's xDAI; `t4t jobs show ID` lists the transactions";

/// What waits for its block, since when, and what of it is overdue.
#[derive(Debug, Default)]
pub(super) struct OverdueClaims {
    waiting: Lock<Waiting>,
    problem: SharedProblem,
}

#[derive(Debug, Default)]
struct Waiting {
    since_ms: HashMap<JobId, u64>,
    alarm: Alarm,
}

impl OverdueClaims {
    /// Notes in `problem` what is overdue.
    pub(super) fn new(problem: SharedProblem) -> Self {
        Self { waiting: Lock::default(), problem }
    }

    /// Takes note of what waits for its block now.
    pub(super) fn note(&self, open: &[SellingJob], chain_now: UnixSeconds, now_ms: u64) {
        let settling = || open.iter().filter(|row| is_settling(row));
        let mut state = self.waiting.lock();
        let before = std::mem::take(&mut state.since_ms);
        state.since_ms =
            settling().map(|row| (row.job, before.get(&row.job).copied().unwrap_or(now_ms))).collect();
        let waited = |row: &&SellingJob| now_ms.saturating_sub(state.since_ms[&row.job]);
        let left = |row: &&SellingJob| row.delivery_deadline.since(chain_now);
        let is_overdue = |row: &&SellingJob| {
            let near = left(row) < NEAR_SECONDS && waited(row) > PATIENCE_MS;
            near || waited(row) > LONG_MS
        };
        let Some(row) = settling().filter(is_overdue).min_by_key(left) else {
            self.problem.set(None);
            if state.alarm.end() {
                info!("every claim is in a block again");
            }
            return;
        };
        let (job, left_s) = (row.job, left(&row));
        let what = if row.state == SellingState::Refusing { "refusal" } else { "claim" };
        let reason = format!("the {what} of job {job} is in no block and its deadline is {left_s} s away");
        self.problem.set(Some(Problem::new(reason, NEXT_STEP)));
        if state.alarm.raise(NEXT_STEP, now_ms) {
            error!(%job, left_s, next_step = NEXT_STEP, "a {what} is in no block and its stake is at risk");
        }
    }
}

fn is_settling(row: &SellingJob) -> bool {
    matches!(row.state, SellingState::Uploaded | SellingState::Refusing)
}

#[cfg(test)]
mod tests {
    use t4t_types::{Address, SwarmRef, TokenPrices, Xbzz};

    use super::*;

    fn row(state: SellingState, deadline: u64) -> SellingJob {
        SellingJob {
            job: JobId::new([1; 32]),
            state,
            client: Address::ZERO,
            request_hash: SwarmRef::ZERO,
            model: "m".parse().unwrap(),
            prices: TokenPrices::default(),
            max_payment: Xbzz::ZERO,
            ack_deadline: UnixSeconds::new(0),
            delivery_deadline: UnixSeconds::new(deadline),
            runs: 0,
            response_hash: None,
            usage: None,
            payment: None,
            paid: None,
            reason: None,
            created_at_ms: 0,
        }
    }

    fn note(claims: &OverdueClaims, rows: &[SellingJob], chain_now: u64, now_ms: u64) -> bool {
        claims.note(rows, UnixSeconds::new(chain_now), now_ms);
        claims.problem.get().is_some()
    }

    #[test]
    fn a_claim_is_overdue_when_its_deadline_is_near_or_it_takes_long() {
        let (near, far) = ([row(SellingState::Uploaded, 100)], [row(SellingState::Uploaded, 1000)]);
        let state = OverdueClaims::default();
        assert!(!note(&state, &near, 50, 0), "it was only just sent");
        assert!(note(&state, &near, 71, PATIENCE_MS + 1));
        assert!(!note(&state, &[], 72, PATIENCE_MS + 2), "it is in a block");
        assert!(!note(&state, &far, 0, 100_000));
        assert!(!note(&state, &far, 60, 100_000 + LONG_MS));
        assert!(note(&state, &far, 61, 100_001 + LONG_MS));
        assert!(
            !note(&OverdueClaims::default(), &[row(SellingState::Working, 1)], 0, u64::MAX),
            "it has no claim yet"
        );
    }
}
