//! One job as lists show it.

use serde::{Deserialize, Serialize};
use t4t_store::Side;
use t4t_store::buying::BuyingJob;
use t4t_store::selling::SellingJob;
use t4t_types::{Address, JobId, RequestId, RoutingId, SwarmRef, TokenPrices, TokenUsage, Xbzz};

/// A job of either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRow {
    /// Whether it was bought or sold.
    pub side: Side,
    /// How far it is.
    pub state: String,
    /// The model.
    pub model: String,
    /// Who is on the other side.
    pub with: Address,
    /// The job on the chain, once known.
    pub job: Option<JobId>,
    /// The app's request; the buying side's only.
    pub request: Option<RequestId>,
    /// Which attempt at the request; the buying side's only.
    pub attempt: Option<u32>,
    /// What messages name it by, on both sides from the beginning.
    pub routing: RoutingId,
    /// Where the sealed request lies.
    pub request_hash: SwarmRef,
    /// Where the sealed answer lies.
    pub response_hash: Option<SwarmRef>,
    /// The prices it was agreed at.
    pub prices: TokenPrices,
    /// What went into escrow.
    pub max_payment: Xbzz,
    /// What was paid.
    pub paid: Option<Xbzz>,
    /// What the answer took; the selling side's only.
    pub usage: Option<TokenUsage>,
    /// Why it ended otherwise.
    pub reason: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub created_at_ms: u64,
}

impl JobRow {
    pub(crate) fn bought(job: &BuyingJob) -> Self {
        Self {
            side: Side::Buying,
            state: job.state.to_string(),
            model: job.model.to_string(),
            with: job.provider,
            job: job.job,
            request: Some(job.request_id),
            attempt: Some(job.attempt),
            routing: job.request_hash.routing_id(),
            request_hash: job.request_hash,
            response_hash: job.response_hash,
            prices: job.prices,
            max_payment: job.max_payment,
            paid: job.paid,
            usage: None,
            reason: job.reason.clone(),
            created_at_ms: job.created_at_ms,
        }
    }

    pub(crate) fn sold(job: &SellingJob) -> Self {
        Self {
            side: Side::Selling,
            state: job.state.to_string(),
            model: job.model.to_string(),
            with: job.client,
            job: Some(job.job),
            request: None,
            attempt: None,
            routing: job.request_hash.routing_id(),
            request_hash: job.request_hash,
            response_hash: job.response_hash,
            prices: job.prices,
            max_payment: job.max_payment,
            paid: job.paid,
            usage: job.usage,
            reason: job.reason.clone(),
            created_at_ms: job.created_at_ms,
        }
    }

    /// Whether one of its ids begins with these digits.
    pub(crate) fn is_named(&self, digits: &str) -> bool {
        let ids = [
            self.job.map(|job| job.to_string()),
            self.request.map(|request| request.to_string()),
            Some(self.routing.to_string()),
            Some(self.request_hash.to_string()),
            self.response_hash.map(|hash| hash.to_string()),
        ];
        ids.into_iter().flatten().any(|id| id.trim_start_matches("0x").starts_with(digits))
    }
}
