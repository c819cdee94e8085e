//! The captured sizes, and the corners of the estimate.

use proptest::prelude::*;
use serde_json::json;

use super::*;

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
        let size = sizing.size(&request, &prices).unwrap();
        assert_eq!(u128::from(estimate_prompt_tokens(&request)), number(vector, "estimate"));
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

/// The estimate of one message with this content, in characters rounded up to fours; long enough to lie above the
/// least.
fn chars(content: Value) -> u64 {
    let filler = json!({"role": "user", "content": "x".repeat(4000)});
    let request = json!({"messages": [filler, {"role": "user", "content": content}]});
    4 * estimate_prompt_tokens(&request) - 4000 - 2 * CHARS_PER_MESSAGE
}

#[test]
fn contents_of_every_shape_are_counted_as_the_reference_counts_them() {
    assert_eq!(chars(json!("abcd")), 4);
    assert_eq!(chars(json!("😀😀")), 4, "UTF-16 code units");
    assert_eq!(chars(json!(null)), 0);
    assert_eq!(chars(json!(["abcd", {"type": "text", "text": "12345678"}])), 12);
    assert_eq!(chars(json!([{"type": "image_url", "image_url": {"url": "x"}}, 7])), 2 * 4096);
    assert_eq!(chars(json!({"a": "é", "b": 1.0})), 16, "JSON of 15 characters, rounded up");
    assert_eq!(chars(json!(true)), 4);
}

#[test]
fn what_stands_beside_the_content_counts_beyond_the_tools_of_an_agent() {
    let with = |bytes: usize| {
        let text = "x".repeat(bytes);
        [
            json!({"messages": [], "tools": [{"function": {"description": text}}]}),
            json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": text}}]}]}),
            json!({"messages": [{"role": "user", "reasoning_content": text}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "refusal", "refusal": text}]}]}),
            json!({"documents": [text]}),
        ]
    };
    for request in with(15_000) {
        // A part that is no text counts as a picture, as before.
        assert!(
            estimate_prompt_tokens(&request) <= (CHARS_PER_OPAQUE_PART + CHARS_PER_MESSAGE) / 4,
            "{} tokens",
            estimate_prompt_tokens(&request)
        );
    }
    for request in with(500_000) {
        assert!(estimate_prompt_tokens(&request) > 120_000, "{} tokens", estimate_prompt_tokens(&request));
    }
    let picture = json!([{"type": "image_url", "image_url": {"url": "A".repeat(500_000)}}]);
    assert_eq!(chars(picture), 4096, "a picture's bytes are no text");
}

/// Whatever a backend may show its model is counted, in whichever field it stands and however the field is dressed up.
#[test]
fn no_dress_makes_a_book_cheap() {
    let book = "A book, word by word. ".repeat(20_000);
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let whole_book = book.len() as u64 / 4 - UNCOUNTED_BYTES;
    for request in [
        part(json!({"type": "refusal", "text": "", "refusal": book})),
        part(json!({"type": "thinking", "text": "x", "thinking": book})),
        part(json!({"type": "refusal", "refusal": book, "image_url": null})),
        part(json!({"type": "refusal", "refusal": book, "image_url": {}})),
        part(json!({"type": "refusal", "refusal": book, "image_url": ""})),
        part(json!({"type": "refusal", "refusal": book, "image_url": 7})),
        part(json!({"type": "refusal", "refusal": book, "image_url": {"url": "data:x"}})),
        part(json!({"type": "image_url", "image_url": {"url": "data:x", "detail": book}})),
        part(json!({"type": "image_url", "image_url": {"url": [book]}})),
        part(json!({"type": "text", "text": "", &book[..]: null})),
        part(json!([book])),
        json!({"messages": [{"role": "user", &book[..]: null}]}),
        json!({"messages": [book]}),
        json!({"messages": book}),
        json!({"messages": [], &book[..]: null}),
    ] {
        let estimate = estimate_prompt_tokens(&request);
        assert!(estimate >= whole_book, "{estimate} of {whole_book}: {}", &request.to_string()[..90]);
    }
}

#[test]
fn every_digit_of_a_number_counts() {
    let digits = "9".repeat(308);
    let numbers = format!("[{}]", vec![digits.as_str(); 1000].join(","));
    let negative = numbers.replace('9', "1").replace('[', "[-").replace(",1", ",-1");
    for numbers in [numbers, negative] {
        for request in [
            format!(r#"{{"messages":[],"tools":{numbers}}}"#),
            format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"x","text":"","x":{numbers}}}]}}]}}"#
            ),
            format!(r#"{{"messages":[{{"role":"user","content":{{"x":{numbers}}}}}]}}"#),
        ] {
            let estimate = estimate_prompt_tokens(&serde_json::from_str(&request).unwrap());
            assert!(estimate >= 308_000 / 4 - UNCOUNTED_BYTES / 4, "{estimate}: {}", &request[..60]);
        }
    }
    assert_eq!(bytes_in(&json!(1e-300)), 6, "a fraction is shown short");
}

#[test]
fn empty_things_in_great_numbers_are_not_free() {
    let many = vec![json!([]); 100_000];
    let texts = vec![json!({"type": "text", "text": ""}); 20_000];
    for request in [
        json!({"messages": [], "tools": many}),
        json!({"messages": [{"role": "user", "content": vec![""; 100_000]}]}),
        json!({"messages": [{"role": "user", "content": texts}]}),
    ] {
        assert!(estimate_prompt_tokens(&request) > 60_000, "{}", estimate_prompt_tokens(&request));
    }
}

#[test]
fn a_picture_beside_a_text_counts_as_one() {
    let picture = json!({"url": "data:x"});
    assert_eq!(chars(json!([{"type": "image_url", "text": "", "image_url": picture}])), 4096);
    assert_eq!(chars(json!([{"text": "abcd", "image_url": picture, "video_url": "data:y"}])), 4 + 2 * 4096);
    assert_eq!(chars(json!([{"type": "text", "text": "abcd", "image_url": null}])), 4);
    let messages = json!([{"content": [{"text": "", "image_url": picture}, {"text": "x"}, 7]}]);
    assert_eq!(most_prompt_tokens(0, &messages), 512 + 64 + 2 * 4096);
}

/// The JSON that is counted is the JSON that is sent.
#[test]
fn bytes_are_those_of_the_json() {
    let value = json!({"a\n\u{1}\"\\é": [1, -2.5, "x\ty"], "b": {}});
    let sent = value.to_string().len() as u64;
    assert!((sent..=sent + 4).contains(&bytes_in(&value)), "{} for {sent}", bytes_in(&value));
}

#[test]
fn requests_without_messages_are_estimated_at_the_least() {
    for request in [json!({}), json!({"messages": "x"}), json!({"messages": [null, 1]}), json!(null)] {
        assert_eq!(estimate_prompt_tokens(&request), MIN_PROMPT_TOKENS);
    }
}

#[test]
fn the_requests_own_limit_is_read_as_the_reference_reads_it() {
    let limit = |request: Value| max_tokens_of(&request);
    assert_eq!(limit(json!({})), Ok(None));
    assert_eq!(limit(json!({"max_tokens": 64})), Ok(Some(64)));
    assert_eq!(limit(json!({"max_tokens": 64.0})), Ok(Some(64)));
    for none in [json!(0), json!(-1), json!(-0.5), json!(null)] {
        assert_eq!(limit(json!({"max_tokens": none})), Ok(None));
    }
    for invalid in [json!(1.5), json!("64"), json!(true), json!(1e300), json!([64])] {
        let refused = Err(SizingError::InvalidLimit { field: "max_tokens" });
        assert_eq!(limit(json!({"max_tokens": invalid})), refused);
    }
}

#[test]
fn the_newer_name_of_the_limit_counts_only_without_the_older() {
    assert_eq!(max_tokens_of(&json!({"max_completion_tokens": 9})), Ok(Some(9)));
    assert_eq!(max_tokens_of(&json!({"max_tokens": 5, "max_completion_tokens": 9})), Ok(Some(5)));
    assert_eq!(max_tokens_of(&json!({"max_tokens": null, "max_completion_tokens": 9})), Ok(Some(9)));
}

#[test]
fn several_answers_are_paid_for_together() {
    let size = |request: Value| EscrowSizing::default().size(&request, &prices()).unwrap();
    let (one, four) = (size(json!({"max_tokens": 100})), size(json!({"max_tokens": 100, "n": 4})));
    assert_eq!(four.budgeted_completion, 4 * one.budgeted_completion);
    let cap = output_cap(four.max_payment, &prices(), four.estimated_prompt).unwrap();
    assert!(cap / 4 >= 100, "each may be as long as it was asked for");
    for same in [json!({"n": 4}), json!({"n": null}), json!({"n": "4"})] {
        assert_eq!(size(same).budgeted_completion, size(json!({})).budgeted_completion);
    }
    let huge = json!({"max_tokens": u64::MAX, "n": 2});
    assert_eq!(EscrowSizing::default().size(&huge, &prices()), Err(SizingError::Overflow));
}

#[test]
fn amounts_beyond_counting_are_an_error_and_no_panic() {
    let dear = TokenPrices { input: Xbzz::MAX, output: Xbzz::MAX };
    assert_eq!(EscrowSizing::default().size(&json!({}), &dear), Err(SizingError::Overflow));
    let huge = json!({"max_tokens": u64::MAX});
    assert_eq!(EscrowSizing::default().size(&huge, &prices()), Err(SizingError::Overflow));
    let greedy = EscrowSizing { headroom_ppm: u64::MAX, ..Default::default() };
    assert_eq!(greedy.size(&huge, &prices()), Err(SizingError::Overflow));
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
        let size = EscrowSizing::default().size(&request, &prices).unwrap();
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
        let escrow = |tokens| sizing.size_of(Demand { prompt, output: Some(tokens) }, &prices).map(|size| size.max_payment);
        if let Some(tokens) = sizing.longest_output_within(limit, prompt, &prices) {
            prop_assert!(tokens == 0 || escrow(tokens).is_ok_and(|needs| needs <= limit));
            prop_assert!(escrow(tokens.saturating_add(3)).map_or(true, |needs| needs > limit));
        } else {
            prop_assert!(escrow(0).map_or(true, |needs| needs > limit));
        }
    }
}
