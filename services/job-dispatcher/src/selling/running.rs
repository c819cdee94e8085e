//! The selling service at work: what it is asked, what drives it, and its end.

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use t4t_api::job_dispatcher::{GetSellingStatus, RegisterRunner, RunnerLease, SellingError, SellingStatus};
use t4t_api::{Guard, Selling, Serve, call_route};
use t4t_swarm::LinkState;
use t4t_types::Address;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::listing::Listing;
use super::payment::{PaymentMethod, Recovered};
use super::problem::Problem;
use super::runners::Runners;
use super::sales::Sales;
use crate::carriage::Inbox;

/// A selling service that runs.
pub struct Running {
    pub(super) selling: Arc<dyn Selling>,
    pub(super) parts: Arc<Front>,
    pub(super) recovered: Recovered,
    pub(super) messages: watch::Receiver<LinkState>,
    pub(super) tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl Running {
    /// The service, behind its mailbox.
    pub fn selling(&self) -> Arc<dyn Selling> {
        Arc::clone(&self.selling)
    }

    /// What was found open at the start.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Follows whether the clients' messages can arrive.
    pub fn messages(&self) -> watch::Receiver<LinkState> {
        self.messages.clone()
    }

    /// Looks after the shop window once; tests drive time with it.
    pub async fn storefront_once(&self) {
        self.parts.listing.look_after_once().await;
    }

    /// Looks at every open job once; tests drive time with it.
    pub async fn sweep_once(&self) {
        for method in &self.parts.methods {
            method.sweep().await;
        }
    }

    /// Leaves the market for good (`T4T_DEACTIVATE_ON_SHUTDOWN`).
    ///
    /// # Errors
    /// Says what stood in the way.
    pub async fn leave(&self) -> Result<(), String> {
        self.parts.listing.leave().await
    }

    /// Stops. What is open is taken up by the next start.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

/// Adds the service's HTTP routes.
///
/// `runners` lets runners in, which may register and nothing else; `guard` lets in the other services.
pub fn routes(config: &mut ServiceConfig, guard: &Guard, runners: &Guard, selling: &Arc<dyn Selling>) {
    call_route::<RegisterRunner, dyn Selling>(config, runners, selling);
    call_route::<GetSellingStatus, dyn Selling>(config, guard, selling);
}

/// Hands each message to every payment method, for as long as the process lives.
pub(super) async fn hand_out(mut inbox: Inbox, methods: Vec<Arc<dyn PaymentMethod>>) {
    while let Some(envelope) = inbox.next().await {
        for method in &methods {
            method.on_message(&envelope).await;
        }
    }
}

/// What stands behind the mailbox.
pub(super) struct Front {
    pub(super) wallet: Address,
    pub(super) listing: Arc<Listing>,
    pub(super) runners: Arc<Runners>,
    pub(super) sales: Arc<Sales>,
    pub(super) methods: Vec<Arc<dyn PaymentMethod>>,
}

impl Front {
    async fn open_jobs(&self) -> Result<usize, SellingError> {
        let mut open = 0;
        for method in &self.methods {
            let unavailable =
                |error: t4t_store::StoreError| SellingError::Unavailable { reason: error.to_string() };
            open += method.open_jobs().await.map_err(unavailable)?;
        }
        Ok(open)
    }
}

#[async_trait]
impl Serve<RegisterRunner> for Front {
    async fn ask(&self, call: RegisterRunner) -> Result<RunnerLease, SellingError> {
        Ok(RunnerLease { for_ms: self.runners.register(call)? })
    }
}

#[async_trait]
impl Serve<GetSellingStatus> for Front {
    async fn ask(&self, _: GetSellingStatus) -> Result<SellingStatus, SellingError> {
        let open = self.open_jobs().await?;
        let (refusing, next_step) = match self.listing.problem() {
            Some(Problem { reason, next_step }) => (Some(reason), Some(next_step)),
            None => (None, None),
        };
        Ok(SellingStatus {
            provider: self.wallet,
            on_offer: self.listing.is_on_offer(),
            refusing,
            next_step,
            open_jobs: u32::try_from(open).unwrap_or(u32::MAX),
            runners: self.runners.count(),
            slots: self.runners.limit(),
            each_runner: self.runners.shown(),
            sold: self.sales.sold(),
        })
    }
}
