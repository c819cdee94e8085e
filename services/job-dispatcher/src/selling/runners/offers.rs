//! What several runners offer together.

use std::collections::BTreeMap;

use t4t_api::inference_runner::RunnerModel;
use t4t_types::{ModelId, TokenPrices};

/// The models on offer, each once, in order of name; also those that are away for the moment. A job may go to any runner
/// that has the model, so each is offered at the highest of their prices (`default_prices` where a runner states none) and
/// with the shortest context that one of them tells: no runner's word makes the others' work cheaper than their operator
/// set it. A runner whose backend is away counts: it may be back before the job begins.
pub(super) fn together<'a>(
    told: impl Iterator<Item = &'a RunnerModel>,
    default_prices: TokenPrices,
) -> Vec<RunnerModel> {
    let mut models = BTreeMap::<ModelId, RunnerModel>::new();
    for told in told {
        let prices = told.prices.unwrap_or(default_prices);
        let max_context_tokens = told.max_context_tokens.filter(|tokens| *tokens > 0);
        let offered = models.entry(told.model.clone()).or_insert_with(|| RunnerModel {
            prices: Some(prices),
            max_context_tokens,
            ..told.clone()
        });
        let so_far = offered.prices.unwrap_or(prices);
        offered.prices = Some(TokenPrices {
            input: so_far.input.max(prices.input),
            output: so_far.output.max(prices.output),
        });
        offered.max_context_tokens = offered.max_context_tokens.into_iter().chain(max_context_tokens).min();
        // A model that is away at one runner is not away as long as another one serves it.
        offered.away &= told.away;
    }
    models.into_values().collect()
}
