//! One job as lists show it.

use serde::Serialize;
use t4t_store::Side;
use t4t_store::buying::BuyingJob;
use t4t_store::selling::SellingJob;
use t4t_types::{Address, JobId, RequestId, RoutingId, SwarmRef, TokenPrices, TokenUsage, Xbzz};

use t4t_terminal::output::age;

/// A job of either side.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JobRow {
    /// Whether it was bought or sold.
    pub(crate) side: Side,
    /// How far it is.
    pub(crate) state: String,
    /// The model.
    pub(crate) model: String,
    /// Who is on the other side.
    pub(crate) with: Address,
    /// The job on the chain, once known.
    pub(crate) job: Option<JobId>,
    /// The app's request; the buying side's only.
    pub(crate) request: Option<RequestId>,
    /// Which attempt at the request; the buying side's only.
    pub(crate) attempt: Option<u32>,
    /// What messages name it by, on both sides from the beginning.
    pub(crate) routing: RoutingId,
    /// Where the sealed request lies.
    pub(crate) request_hash: SwarmRef,
    /// Where the sealed answer lies.
    pub(crate) response_hash: Option<SwarmRef>,
    /// The prices it was agreed at.
    pub(crate) prices: TokenPrices,
    /// What went into escrow.
    pub(crate) max_payment: Xbzz,
    /// What was paid.
    pub(crate) paid: Option<Xbzz>,
    /// What the answer took; the selling side's only.
    pub(crate) usage: Option<TokenUsage>,
    /// Why it ended otherwise.
    pub(crate) reason: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub(crate) created_at_ms: u64,
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

    /// The row's cells in a table.
    pub(crate) fn cells(&self, now_ms: u64) -> [String; 9] {
        [
            age(now_ms.saturating_sub(self.created_at_ms)),
            self.side_name().into(),
            self.state.clone(),
            self.model.clone(),
            short(&self.with.to_string()),
            self.max_payment.to_string(),
            self.paid.map_or("-".into(), |paid| paid.to_string()),
            self.request.map_or("-".into(), |request| short(&request.to_string())),
            self.job.map_or("-".into(), |job| short(&job.to_string())),
        ]
    }

    pub(crate) fn side_name(&self) -> &'static str {
        match self.side {
            Side::Buying => "bought",
            Side::Selling => "sold",
        }
    }
}

/// An id's beginning, enough to tell it apart and to ask for it.
fn short(id: &str) -> String {
    id.chars().take(10).collect()
}
