//! What runs out of time is refused while that still costs nothing; what stopped is taken up again.

use std::collections::HashSet;

use t4t_protocol::job::SellingState;
use t4t_store::StoreError;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, UnixSeconds};
use tracing::{debug, warn};

use super::chain::Chain;
use super::closing::Closing;
use super::config::EscrowConfig;
use super::look_up::LookUp;
use super::names::name_of;
use super::overdue::OverdueClaims;
use super::refusals::Refusals;
use super::rows::Rows;
use crate::age::age_ms;
use crate::selling::payment::{PayableJobs, Recovered};
use crate::selling::tasks::spawn_for;

/// A settled state is read from the chain, rather than from events, once the claim is this old.
const LOOK_AFTER_MS: u64 = 60_000;

/// Looks at open jobs.
pub(super) struct Sweep {
    pub(super) config: EscrowConfig,
    pub(super) chain: Chain,
    pub(super) rows: Rows,
    pub(super) refusals: Refusals,
    pub(super) closing: Closing,
    pub(super) look_up: LookUp,
    pub(super) overdue: OverdueClaims,
    pub(super) payable: PayableJobs,
}

impl Sweep {
    /// Looks at every open job once.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        // Remembered before the rows are read: what is claimed meanwhile stays.
        let claimed = self.closing.claimed.all();
        let open = self.rows.store.selling_list_open().await?;
        let open_jobs: HashSet<JobId> = open.iter().map(|row| row.job).collect();
        claimed.difference(&open_jobs).for_each(|job| self.closing.claimed.remove(job));
        if open.is_empty() {
            self.overdue.note(&open, UnixSeconds::new(0), self.chain.clock.unix_millis());
            return Ok(());
        }
        let chain_now = match self.chain.now().await {
            Ok(chain_now) => chain_now,
            Err(error) => {
                debug!(%error, "open jobs wait until the chain can be read");
                return Ok(());
            }
        };
        let now_ms = self.chain.clock.unix_millis();
        self.overdue.note(&open, chain_now, now_ms);
        for row in &open {
            self.look_at(row, chain_now, now_ms).await;
        }
        Ok(())
    }

    async fn look_at(&self, row: &SellingJob, chain_now: UnixSeconds, now_ms: u64) {
        let is_unfinished =
            matches!(row.state, SellingState::Accepted | SellingState::Working | SellingState::Answered);
        // Nothing was acknowledged yet: refusing is free until then, and late is dear.
        let is_unacked_late =
            row.state == SellingState::Accepted && self.config.is_too_late_to_ack(row, chain_now);
        if is_unacked_late || (is_unfinished && chain_now >= self.config.give_up_at(row)) {
            if let Err(error) = self.refusals.decide(row, "the answer was not ready in time").await {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "a job could not be refused");
            }
            self.refuse_beside(row.job);
            return;
        }
        let is_settling = matches!(row.state, SellingState::Uploaded | SellingState::Refusing);
        if is_settling && let Err(error) = self.closing.claim_again_if_refused(row).await {
            debug!(job = %row.job, error = &error as &dyn std::error::Error, "a refused claim waits");
        }
        if is_settling && age_ms(row.created_at_ms, now_ms) > LOOK_AFTER_MS {
            self.look_up.run(row).await;
        }
        self.payable.tell(name_of(row.job)).await;
    }

    /// Sends the refusal of a job whose work hangs: the work itself ends when it next touches the row.
    fn refuse_beside(&self, job: JobId) {
        let closing = self.closing.clone();
        spawn_for(job, async move {
            if let Err(error) = closing.refuse_now(job).await {
                warn!(%job, error = &error as &dyn std::error::Error, "a refusal could not be sent; it is tried again");
            }
        });
    }

    /// Takes up what an earlier run left open; the chain wins.
    pub(super) async fn recover(&self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        for row in self.rows.store.selling_list_open().await? {
            match row.state {
                SellingState::Answered | SellingState::Uploaded => recovered.answered += 1,
                SellingState::Refusing => recovered.refusing += 1,
                _ => recovered.unanswered += 1,
            }
            let (look_up, payable) = (self.look_up.clone(), self.payable.clone());
            spawn_for(row.job, async move {
                // The chain wins: a job that is over is not worked on.
                look_up.run(&row).await;
                payable.tell(name_of(row.job)).await;
            });
        }
        Ok(recovered)
    }
}
