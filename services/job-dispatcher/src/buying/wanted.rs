//! What an app wants, with what of it decides the price and the answer's worth.

use t4t_api::job_dispatcher::BuyAnswer;
use t4t_inference::Demand;

/// What a request may gain on its way: `,"stream":false`.
const STREAM_FIELD_BYTES: u64 = 16;

/// What of a request an answer is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedFor {
    /// Tokens that its prompt is estimated at.
    pub(super) prompt: u64,
    /// The most tokens that its prompt can have.
    pub(super) most_prompt: u64,
    /// Whether it has tools that may be called.
    pub(super) tools: bool,
}

/// What an app wants.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) call: &'a BuyAnswer,
    pub(super) demand: Demand,
    pub(super) asked: AskedFor,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(call: &'a BuyAnswer) -> Self {
        let demand = call.request.demand();
        let asked = AskedFor {
            prompt: demand.prompt,
            // The provider's is a little longer: `stream` is written out.
            most_prompt: call.request.most_prompt_tokens() + STREAM_FIELD_BYTES,
            tools: call.request.has_tools(),
        };
        Self { call, demand, asked }
    }
}
