//! The corners of the estimate.

use serde_json::json;

use super::*;

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
fn images_count_beside_text() {
    let request = json!({"messages": [{"content": [{"type": "text", "text": "what is it"}, {"type": "image_url"}]}, {"content": "no"}]});
    let size = PromptSize::of(100, &request);
    assert_eq!((size.most, size.likely), (100 + 512 + 128 + 4096, (32 + 10 + 2 + 4096_u64).div_ceil(4)));
}
