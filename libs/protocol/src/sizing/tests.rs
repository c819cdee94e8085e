//! The captured sizes, and the corners of the estimate.

use proptest::prelude::*;
use serde_json::{Value, json};
use t4t_inference::{InferenceRequest, Kind, RequestFault};

use super::*;

fn demand(request: &Value) -> Result<Demand, RequestFault> {
    let bytes = serde_json::to_vec(request).unwrap().into();
    Ok(InferenceRequest::read(Kind::Chat, bytes)?.demand())
}

fn number(vector: &Value, name: &str) -> u128 {
    vector[name].as_str().unwrap().parse().unwrap()
}

fn prices() -> TokenPrices {
    TokenPrices {
        input: Xbzz::from_plur(3_000_000_000_000_000),
        output: Xbzz::from_plur(15_000_000_000_000_000),
    }
}

#[test]
fn the_reference_vectors_hold() {
    let file: Value = serde_json::from_str(include_str!("../../vectors/escrow-sizing.json")).unwrap();
    let prices = TokenPrices {
        input: Xbzz::from_plur(number(&file["prices"], "inputPricePerMillionTokens")),
        output: Xbzz::from_plur(number(&file["prices"], "outputPricePerMillionTokens")),
    };
    let sizing = EscrowSizing::default();
    assert_eq!(u128::from(sizing.default_max_output), number(&file["cfg"], "defaultMaxOutputTokens"));
    assert_eq!(u128::from(sizing.headroom_ppm), number(&file["cfg"], "headroomPpm"));
    for vector in file["vectors"].as_array().unwrap() {
        let request =
            if vector["request"].is_object() { vector["request"].clone() } else { described_request() };
        let size = sizing.size(demand(&request).unwrap(), &prices).unwrap();
        assert_eq!(u128::from(demand(&request).unwrap().prompt), number(vector, "estimate"));
        assert_eq!(u128::from(size.estimated_prompt), number(vector, "estimatedPromptTokens"));
        assert_eq!(u128::from(size.budgeted_prompt), number(vector, "budgetedPromptTokens"));
        assert_eq!(u128::from(size.budgeted_completion), number(vector, "budgetedCompletionTokens"));
        assert_eq!(size.max_payment.plur(), number(vector, "maxPayment"));
        let cap = output_cap(size.max_payment, &prices, size.estimated_prompt).unwrap();
        assert_eq!(u128::from(cap), number(vector, "providerCap"));
    }
}

/// The request that one vector gives in words.
fn described_request() -> Value {
    let message = |role: &str, length: usize| json!({"role": role, "content": "x".repeat(length)});
    json!({"model": "m", "messages": [message("system", 2001), message("user", 1000)], "max_tokens": 100})
}

#[test]
fn several_answers_are_paid_for_together() {
    let size = |request: Value| EscrowSizing::default().size(demand(&request).unwrap(), &prices()).unwrap();
    let (one, four) = (size(json!({"max_tokens": 100})), size(json!({"max_tokens": 100, "n": 4})));
    assert_eq!(four.budgeted_completion, 4 * one.budgeted_completion);
    let cap = output_cap(four.max_payment, &prices(), four.estimated_prompt).unwrap();
    assert!(cap / 4 >= 100, "each may be as long as it was asked for");
    for same in [json!({"n": 4}), json!({"n": null})] {
        assert_eq!(size(same).budgeted_completion, size(json!({})).budgeted_completion);
    }
    let huge = json!({"max_tokens": u64::MAX, "n": 2});
    assert_eq!(demand(&huge).unwrap_err().param.as_deref(), Some("max_tokens"));
}

#[test]
fn amounts_beyond_counting_are_an_error_and_no_panic() {
    let dear = TokenPrices { input: Xbzz::MAX, output: Xbzz::MAX };
    assert_eq!(EscrowSizing::default().size(demand(&json!({})).unwrap(), &dear), Err(BeyondCounting));
    let huge = demand(&json!({"max_tokens": u64::MAX})).unwrap();
    assert_eq!(EscrowSizing::default().size(huge, &prices()), Err(BeyondCounting));
    let greedy = EscrowSizing { headroom_ppm: u64::MAX, ..Default::default() };
    assert_eq!(greedy.size(huge, &prices()), Err(BeyondCounting));
}

#[test]
fn the_cap_is_nothing_below_the_prompts_price_and_absent_for_free_answers() {
    assert_eq!(output_cap(Xbzz::ZERO, &prices(), 256), Some(0));
    assert_eq!(output_cap(Xbzz::from_plur(1), &prices(), 256), Some(0));
    let free = TokenPrices { output: Xbzz::ZERO, ..prices() };
    assert_eq!(output_cap(Xbzz::ZERO, &free, 256), None);
    assert_eq!(output_cap(Xbzz::MAX, &prices(), u64::MAX), Some(u64::MAX));
}

#[test]
fn ratios_become_parts_per_million() {
    assert_eq!(ratio_to_ppm(0.2), Some(200_000));
    assert_eq!(ratio_to_ppm(0.0000005), Some(1));
    assert_eq!(ratio_to_ppm(10.0), Some(10_000_000));
    for ratio in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
        assert_eq!(ratio_to_ppm(ratio), None);
    }
}

proptest! {
    #[test]
    fn the_escrow_pays_for_the_longest_answer_the_provider_may_give(
        limit in 1..1_000_000_u64,
        length in 0..20_000_usize,
        input in 0..u64::MAX,
        output in 1..u64::MAX,
    ) {
        let prices = TokenPrices { input: Xbzz::from_plur(input.into()), output: Xbzz::from_plur(output.into()) };
        let request = json!({"messages": [{"content": "x".repeat(length)}], "max_tokens": limit});
        let size = EscrowSizing::default().size(demand(&request).unwrap(), &prices).unwrap();
        let cap = output_cap(size.max_payment, &prices, size.estimated_prompt).unwrap();
        prop_assert!(cap >= limit, "the request's own limit is paid for");
        let usage = TokenUsage { prompt: size.estimated_prompt, completion: cap };
        prop_assert!(prices.cost(usage).unwrap() <= size.max_payment, "and nothing beyond the escrow");
    }
}

proptest! {
    #[test]
    fn the_longest_output_within_a_limit_fits_and_a_longer_one_hardly_would(
        limit in 1_000_000_u128..10_u128.pow(18),
        prompt in 256_u64..1_000_000,
        input in 0_u128..10_u128.pow(16),
        output in 10_u128.pow(7)..10_u128.pow(16),
    ) {
        let (sizing, limit) = (EscrowSizing::default(), Xbzz::from_plur(limit));
        let prices = TokenPrices { input: Xbzz::from_plur(input), output: Xbzz::from_plur(output) };
        let escrow = |tokens| sizing.size(Demand { prompt, output: Some(tokens) }, &prices).map(|size| size.max_payment);
        if let Some(tokens) = sizing.longest_output_within(limit, prompt, &prices) {
            prop_assert!(tokens == 0 || escrow(tokens).is_ok_and(|needs| needs <= limit));
            prop_assert!(escrow(tokens.saturating_add(3)).map_or(true, |needs| needs > limit));
        } else {
            prop_assert!(escrow(0).map_or(true, |needs| needs > limit));
        }
    }
}
