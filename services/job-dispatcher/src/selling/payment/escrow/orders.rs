//! What is due for one of the escrow's jobs, by its row.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use t4t_protocol::job::SellingState;
use t4t_protocol::output_cap;
use t4t_store::selling::SellingJob;
use t4t_types::{EncryptionKey, JobId};

use super::beginning::Beginning;
use super::closing::Closing;
use super::error::EscrowError;
use super::names::name_of;
use super::refusals::Refusals;
use super::reorgs::Reorgs;
use super::rows::Rows;
use crate::selling::job_set::InFlight;
use crate::selling::payment::{Begun, Declined, Due, Order, Ordered, PaymentError};
use crate::selling::serving::{FetchError, Fetcher, Opened};

/// A backend is asked at most this often for one job: once more after a crash, and never after an answer is stored.
const MAX_RUNS: u32 = 2;

/// What every order needs.
pub(super) struct Orders {
    pub(super) rows: Rows,
    pub(super) reorgs: Arc<Reorgs>,
    pub(super) fetcher: Fetcher,
    pub(super) beginning: Beginning,
    pub(super) refusals: Refusals,
    pub(super) closing: Closing,
    /// Jobs of which it is not known yet whether an answer is there already.
    pub(super) held: InFlight<JobId>,
}

impl Orders {
    /// What is to be done for a job now.
    pub(super) async fn due(self: &Arc<Self>, job: JobId) -> Result<Due, EscrowError> {
        if self.held.contains(&job) {
            return Ok(Due::Nothing);
        }
        loop {
            let Some(row) = self.rows.store.selling_by_job(job).await? else { return Ok(Due::Nothing) };
            match row.state {
                SellingState::Accepted | SellingState::Working if row.runs >= MAX_RUNS => {
                    let reason = "the process ended twice while a backend was asked";
                    self.refusals.decide(&row, reason).await?;
                }
                SellingState::Accepted | SellingState::Working => {
                    if !self.reorgs.inherits_from_an_earlier_life(&row).await? {
                        return Ok(Due::Serve(self.order(row)));
                    }
                }
                SellingState::Answered | SellingState::Uploaded | SellingState::Refusing => {
                    return Ok(Due::Close(self.order(row)));
                }
                SellingState::Claimed | SellingState::Refused | SellingState::Lost => {
                    return Ok(Due::Nothing);
                }
            }
        }
    }

    fn order(self: &Arc<Self>, row: SellingJob) -> Box<dyn Order> {
        let ordered = Ordered {
            job: name_of(row.job),
            client: row.client,
            model: row.model.clone(),
            is_begun: row.state != SellingState::Accepted,
        };
        Box::new(EscrowOrder { with: Arc::clone(self), row, ordered })
    }
}

/// One of the escrow's jobs.
struct EscrowOrder {
    with: Arc<Orders>,
    row: SellingJob,
    ordered: Ordered,
}

#[async_trait]
impl Order for EscrowOrder {
    fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    async fn patience(&self) -> Result<Duration, PaymentError> {
        Ok(self.with.beginning.patience(&self.row, self.ordered.is_begun).await?)
    }

    async fn request(&self, patience: Duration) -> Result<Opened, FetchError> {
        self.with.fetcher.fetch(self.row.request_hash, patience).await
    }

    fn max_completion_tokens(&self, prompt: u64) -> Option<u64> {
        output_cap(self.row.max_payment, &self.row.prices, prompt)
    }

    async fn begin(&self, client_key: EncryptionKey) -> Result<Option<Begun>, PaymentError> {
        Ok(self.with.beginning.begin(&self.row, self.ordered.is_begun, client_key).await?)
    }

    async fn decline(&self, why: Declined) -> Result<(), PaymentError> {
        let (row, refusals) = (&self.row, &self.with.refusals);
        match why {
            Declined::Told(client_key, refusal) => refusals.explain(row, &client_key, *refusal).await?,
            Declined::Unread(reason) => refusals.explain_by_notice(row, &reason).await?,
            Declined::Untold(reason) => refusals.decide(row, &reason).await?,
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), PaymentError> {
        Ok(self.with.closing.close(self.row.clone()).await?)
    }
}
