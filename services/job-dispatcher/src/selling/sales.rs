//! One job's sale: payable, then begun, then answered, then closed; whatever pays for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use t4t_runtime::KillPoint;
use t4t_types::{JobRef, TokenUsage};
use tokio::sync::mpsc;
use tracing::warn;

use super::job_set::InFlight;
use super::payment::{Begun, Declined, Due, Order, Ordered, PaymentError, PaymentMethod};
use super::runners::Slot;
use super::serving::{Opened, Serving, Task, away};
use super::tasks::spawn_for;
use super::verification::{Request, RequestError, UNDERPAID, check_request};

/// Sells jobs.
pub(crate) struct Sales {
    serving: Serving,
    in_flight: InFlight<JobRef>,
    sold: Sold,
}

impl Sales {
    pub(crate) fn new(serving: Serving) -> Self {
        Self { serving, in_flight: InFlight::default(), sold: Sold::default() }
    }

    /// Works on each job that a payment method tells, side by side, for as long as the process lives.
    pub(crate) async fn follow(
        self: Arc<Self>,
        method: Arc<dyn PaymentMethod>,
        mut jobs: mpsc::Receiver<JobRef>,
    ) {
        while let Some(job) = jobs.recv().await {
            self.spawn(&method, job);
        }
    }

    /// Works on a job unless somebody does already.
    fn spawn(self: &Arc<Self>, method: &Arc<dyn PaymentMethod>, job: JobRef) {
        let Some(entered) = self.in_flight.enter(job.clone()) else { return };
        let (sales, method) = (Arc::clone(self), Arc::clone(method));
        spawn_for(job.clone(), async move {
            let _entered = entered;
            if let Err(error) = sales.work_on(&*method, &job).await {
                warn!(%job, error = &*error as &dyn std::error::Error, "work on a job stopped; it is taken up again");
            }
        });
    }

    async fn work_on(&self, method: &dyn PaymentMethod, job: &JobRef) -> Result<(), PaymentError> {
        loop {
            match method.due(job).await? {
                Due::Serve(order) => self.serve(&*order).await?,
                Due::Close(order) => return order.close().await,
                Due::Nothing => return Ok(()),
            }
        }
    }

    /// From a payable job to a stored answer, or to a decided refusal.
    async fn serve(&self, order: &dyn Order) -> Result<(), PaymentError> {
        let ordered = order.ordered();
        let opened = match order.request(order.patience().await?).await {
            Ok(opened) => opened,
            Err(error) => return order.decline(Declined::Unread(error.to_string())).await,
        };
        let Opened { payload, share } = opened;
        let (request, max_completion_tokens) = match check(order, &payload) {
            Ok(checked) => checked,
            Err(declined) => return order.decline(declined).await,
        };
        drop(payload);
        KillPoint::SellingFetched.pass();
        if !ordered.is_begun && !self.serving.may_serve(&ordered.model) {
            // Before it is begun: the client learns at once when to come back.
            return order.decline(Declined::Told(request.client_key, Box::new(away()))).await;
        }
        let patience = order.patience().await?;
        let Some(slot) = self.serving.wait_for_slot(&ordered.model, &request.asked, patience).await else {
            return order.decline(Declined::Untold("all slots are taken".to_owned())).await;
        };
        drop(share);
        self.run(order, request, max_completion_tokens, slot).await
    }

    /// Begins the work, and has a runner answer.
    async fn run(
        &self,
        order: &dyn Order,
        request: Request,
        max_completion_tokens: Option<u64>,
        slot: Slot,
    ) -> Result<(), PaymentError> {
        let Request { asked, client_key } = request;
        let Some(Begun { limit, mut delivery }) = order.begin(client_key).await? else { return Ok(()) };
        let Ordered { job, model, .. } = order.ordered().clone();
        let task = Task { job, model, asked, max_completion_tokens, limit };
        if let Err(refusal) = self.serving.run(&task, slot, &mut *delivery).await {
            return order.decline(Declined::Told(client_key, Box::new(refusal))).await;
        }
        self.sold.add(delivery.finish().await?);
        Ok(())
    }

    /// Tokens sold since the start.
    pub(crate) fn sold(&self) -> TokenUsage {
        self.sold.total()
    }
}

/// Whether a request is what the order pays for, and how long its answer may be.
fn check(
    order: &dyn Order,
    payload: &t4t_protocol::RequestPayload,
) -> Result<(Request, Option<u64>), Declined> {
    let ordered = order.ordered();
    let request = check_request(ordered.client, &ordered.model, payload).map_err(|error| match error {
        RequestError::Fault { fault, client_key } => {
            Declined::Told(client_key, Box::new(fault.into_refusal()))
        }
        error => Declined::Unread(error.to_string()),
    })?;
    let max_completion_tokens = order.max_completion_tokens(request.asked.demand().prompt);
    if max_completion_tokens == Some(0) {
        return Err(Declined::Unread(UNDERPAID.to_owned()));
    }
    Ok((request, max_completion_tokens))
}

/// Tokens sold since the start.
#[derive(Debug, Default)]
struct Sold {
    prompt: AtomicU64,
    completion: AtomicU64,
}

impl Sold {
    fn add(&self, usage: TokenUsage) {
        self.prompt.fetch_add(usage.prompt, Ordering::Relaxed);
        self.completion.fetch_add(usage.completion, Ordering::Relaxed);
    }

    fn total(&self) -> TokenUsage {
        TokenUsage {
            prompt: self.prompt.load(Ordering::Relaxed),
            completion: self.completion.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
#[path = "sales_tests.rs"]
mod tests;
