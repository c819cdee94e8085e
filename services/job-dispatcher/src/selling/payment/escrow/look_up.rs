//! Reading a job from the chain, and bringing its row in line: the chain wins.

use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::selling::SellingJob;
use t4t_types::JobStatus;
use tracing::{debug, warn};

use super::chain::Chain;
use super::rows::Rows;
use crate::selling::job_set::JobSet;

/// A job that the chain does not show is given up once it is this old.
const GONE_AFTER_MS: u64 = 300_000;

/// Looks jobs up.
#[derive(Clone)]
pub(super) struct LookUp {
    pub(super) chain: Chain,
    pub(super) rows: Rows,
    /// Jobs whose claim this process handed to settlement.
    pub(super) claimed: JobSet,
}

impl LookUp {
    /// Reads a job from the chain and brings its row in line.
    pub(super) async fn run(&self, row: &SellingJob) {
        let status = match self.chain.status_of(row).await {
            Ok(status) => status,
            Err(error) => {
                debug!(job = %row.job, %error, "an open job can't be read now");
                return;
            }
        };
        let Some(step) = self.step_to(row, status).await else { return };
        self.claimed.remove(&row.job);
        let changing = async {
            if matches!(step, SellingStep::Lost { .. }) && row.state.is_final() {
                // What settled it was taken back.
                self.rows.happened(row.job, SellingStep::Reorganised).await?;
            }
            self.rows.happened(row.job, step).await
        };
        if let Err(error) = changing.await {
            warn!(job = %row.job, error = &error as &dyn std::error::Error, "a job's end could not be stored");
        }
    }

    /// What the chain says of a row that does not say so itself.
    async fn step_to(&self, row: &SellingJob, status: JobStatus) -> Option<SellingStep> {
        let lost = || SellingStep::Lost { reason: format!("the chain shows it as {status:?}") };
        match status {
            JobStatus::Claimed if row.state == SellingState::Refusing => Some(SellingStep::Refused),
            JobStatus::Claimed if row.state == SellingState::Uploaded => Some(SellingStep::SeenClaimed),
            JobStatus::Cancelled | JobStatus::TimedOut if row.state != SellingState::Lost => Some(lost()),
            // Settled by the row, and the chain says otherwise.
            JobStatus::Pending | JobStatus::Acked if row.state.is_final() => Some(SellingStep::Reorganised),
            // Nobody can claim it any more, and its client has not taken it back yet.
            JobStatus::Pending | JobStatus::Acked => {
                self.chain.is_past(row.delivery_deadline).await.then(lost)
            }
            // Taken back with all that was settled.
            JobStatus::None if matches!(row.state, SellingState::Claimed | SellingState::Refused) => {
                Some(SellingStep::Reorganised)
            }
            // Never posted, after a reorganisation: nothing to claim and nothing at stake. A node that is behind says
            // the same, for a while.
            JobStatus::None if !row.state.is_final() && self.age_ms(row) > GONE_AFTER_MS => Some(lost()),
            _ => None,
        }
    }

    fn age_ms(&self, row: &SellingJob) -> u64 {
        self.chain.clock.unix_millis().saturating_sub(row.created_at_ms)
    }
}
