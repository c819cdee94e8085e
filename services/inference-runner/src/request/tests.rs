use proptest::prelude::*;
use serde_json::{Value, json};
use t4t_inference::{Kind, OVERRULING_FIELDS};

use super::limits::LIMITS;
use super::*;

fn form(answer: AnswerForm) -> Form {
    Form { answer, limit: LimitForm::Usual, halved: 0, may_spend: false }
}

fn read(request: &str) -> Result<InferenceRequest, RunnerError> {
    InferenceRequest::read(Kind::Chat, request.to_owned().into()).map_err(of_fault)
}

fn sent_to(request: &str, cap: Option<u64>, context: Option<u64>, form: Form) -> Result<Value, RunnerError> {
    let request = ChatRequest::parse(&read(request)?, cap)?;
    let body = request.body("backend-name", form, request.limit(context)?);
    Ok(serde_json::from_slice(&body).unwrap())
}

fn sent(request: &Value, cap: Option<u64>, answer: AnswerForm) -> Value {
    sent_to(&request.to_string(), cap, None, form(answer)).unwrap()
}

fn limits(request: &Value, cap: Option<u64>, context: Option<u64>, limit: LimitForm) -> Value {
    let form = Form { limit, ..form(AnswerForm::Whole) };
    let mut sent = sent_to(&request.to_string(), cap, context, form).unwrap();
    let fields = sent.as_object_mut().unwrap();
    fields.retain(|field, _| LIMITS.contains(&field.as_str()) || field == "n");
    sent
}

#[test]
fn the_limit_is_the_smaller_of_what_was_asked_and_what_is_paid() {
    let cases = [
        (json!({}), None, json!({})),
        (json!({}), Some(9), json!({"max_tokens": 9})),
        (json!({"max_tokens": 5}), Some(9), json!({"max_tokens": 5})),
        (json!({"max_tokens": 50}), Some(9), json!({"max_tokens": 9})),
        (json!({"max_tokens": null}), Some(9), json!({"max_tokens": 9})),
        (json!({"max_tokens": -1}), Some(9), json!({"max_tokens": 9})),
        (json!({"max_tokens": 5.0}), Some(9), json!({"max_tokens": 5})),
        (json!({"max_tokens": 5.0, "n": 3.0}), Some(9), json!({"max_tokens": 3, "n": 3})),
        (json!({"max_tokens": -1, "n": null}), None, json!({"n": 1})),
        (json!({"max_completion_tokens": 5}), None, json!({"max_tokens": 5, "max_completion_tokens": 5})),
        (
            json!({"max_completion_tokens": 50, "max_tokens": 3}),
            Some(9),
            json!({"max_tokens": 3, "max_completion_tokens": 3}),
        ),
        (json!({"n_predict": 99}), Some(9), json!({"max_tokens": 9, "n_predict": 9})),
        (json!({"n_predict": -1, "max_new_tokens": "x"}), None, json!({})),
        (json!({"n": 3, "max_tokens": 5}), Some(9), json!({"max_tokens": 3, "n": 3})),
    ];
    for (request, cap, expected) in cases {
        assert_eq!(limits(&request, cap, None, LimitForm::Usual), expected, "{request} {cap:?}");
    }
}

#[test]
fn the_limit_fits_the_context_and_a_prompt_beyond_it_is_refused() {
    let request = |bytes: usize| json!({"messages": [{"role": "user", "content": "x".repeat(bytes)}]});
    let needs = |bytes: u64| (bytes + 16).div_ceil(4);
    let fits = limits(&request(400), Some(19_671), Some(4096), LimitForm::Usual);
    assert_eq!(fits, json!({"max_tokens": 4096 - needs(400)}));
    assert_eq!(limits(&request(400), Some(50), Some(4096), LimitForm::Usual), json!({"max_tokens": 50}));
    assert_eq!(limits(&request(400), Some(50), None, LimitForm::Usual), json!({"max_tokens": 50}));
    let too_long = sent_to(&request(20_000).to_string(), Some(50), Some(4096), form(AnswerForm::Whole));
    let Err(RunnerError::Refused { refusal }) = too_long else { panic!("{too_long:?}") };
    assert_eq!(refusal.code.as_deref(), Some("context_length_exceeded"));
    assert_eq!((refusal.status, refusal.param.as_deref()), (Some(400), Some("messages")));
    let mut with_tools = request(4);
    with_tools["tools"] = json!([{"type": "function", "function": {"description": "x".repeat(20_000)}}]);
    assert!(sent_to(&with_tools.to_string(), None, Some(4096), form(AnswerForm::Whole)).is_err());
}

#[test]
fn the_limit_is_told_as_the_backend_takes_it() {
    let request = json!({"max_tokens": 5, "n_predict": 7});
    assert_eq!(limits(&request, Some(9), None, LimitForm::Newer), json!({"max_completion_tokens": 5}));
    assert_eq!(limits(&request, Some(9), None, LimitForm::Untold), json!({}));
}

#[test]
fn a_payment_for_less_than_one_token_each_is_refused() {
    for (request, cap) in [
        ("{}", Some(0)),
        (r#"{"n":3}"#, Some(2)),
        (r#"{"n":129}"#, None),
        (r#"{"max_tokens":5.5}"#, None),
        (r#"{"max_tokens":"99"}"#, Some(9)),
        ("[]", None),
    ] {
        let refused = read(request).and_then(|request| ChatRequest::parse(&request, cap));
        assert!(
            matches!(refused, Err(RunnerError::Refused { refusal }) if refusal.status == Some(400)),
            "{request}"
        );
    }
}

#[test]
fn reasoning_is_shown_because_it_is_paid_for() {
    let request = json!({"include_reasoning": false, "reasoning_format": "hidden", "reasoning": {"effort": "low", "exclude": true}});
    let expected = json!({"model": "backend-name", "stream": false, "reasoning": {"effort": "low"}});
    assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
    let request =
        json!({"model": "backend-name", "stream": false, "reasoning_format": "deepseek", "reasoning": "x"});
    assert_eq!(sent(&request, None, AnswerForm::Whole), request);
    let many: Vec<String> = (0..600).map(|field| format!("\"{field}\":0")).collect();
    let expected = json!({"model": "backend-name", "stream": false});
    for hidden in [
        r#""reasoning_format":"hidd\u0065n""#.to_owned(),
        r#""reasoning_format":"Hidden""#.into(),
        r#""reasoning_format":["hidd\u0065n"]"#.into(),
        r#""reasoning":[{"exclude":true}]"#.into(),
        format!(r#""reasoning":{{"exclude":true,{}}}"#, many.join(",")),
    ] {
        let request = format!("{{{hidden}}}");
        assert_eq!(sent_to(&request, None, None, form(AnswerForm::Whole)).unwrap(), expected, "{request}");
    }
}

#[test]
fn nothing_makes_an_answer_longer_than_its_limit() {
    let least = |request: Value, limit: LimitForm| {
        let form = Form { limit, ..form(AnswerForm::Whole) };
        let sent = sent_to(&request.to_string(), Some(9), None, form).unwrap();
        (sent["min_tokens"].clone(), sent.get("prompt_logprobs").is_some())
    };
    assert_eq!(
        least(json!({"min_tokens": 4000, "prompt_logprobs": 1}), LimitForm::Usual),
        (json!(null), false)
    );
    assert_eq!(least(json!({"min_tokens": 9}), LimitForm::Usual), (json!(9), false));
    assert_eq!(least(json!({"min_tokens": "4000"}), LimitForm::Usual), (json!(null), false));
    assert_eq!(least(json!({"min_tokens": 9}), LimitForm::Untold), (json!(null), false));
}

#[test]
fn what_costs_the_operator_more_than_tokens_is_sent_only_where_it_is_allowed() {
    let mut request = json!({"model": "a", "top_k": 3});
    for field in SPENDING_FIELDS {
        request[field] = json!({});
    }
    let expected = json!({"model": "backend-name", "stream": false, "top_k": 3});
    assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
    let form = Form { may_spend: true, ..form(AnswerForm::Whole) };
    let sent = sent_to(&request.to_string(), None, None, form).unwrap();
    assert!(SPENDING_FIELDS.iter().all(|field| sent.get(*field).is_some()));
}

#[test]
fn what_overrules_the_model_the_address_or_the_key_reaches_no_backend() {
    let mut request = json!({"model": "a", "top_k": 3});
    for field in OVERRULING_FIELDS {
        request[field] = json!(["big:405b", "http://a"]);
    }
    let expected = json!({"model": "backend-name", "stream": false, "top_k": 3});
    assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
}

#[test]
fn usage_is_always_asked_for_and_other_stream_options_stay() {
    let request = json!({"model": "a", "stream": false, "top_k": 3, "stream_options": {"x": 1, "include_usage": false}});
    let expected = json!({"model": "backend-name", "stream": true, "top_k": 3, "stream_options": {"x": 1, "include_usage": true}});
    assert_eq!(sent(&request, None, AnswerForm::StreamWithUsage), expected);
    let expected = json!({"model": "backend-name", "stream": true, "top_k": 3});
    assert_eq!(sent(&request, None, AnswerForm::Stream), expected);
}

#[test]
fn messages_nested_beyond_reason_are_refused() {
    let deep = format!(r#"{{"messages":[{{"content":{}{}}}]}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert!(matches!(read(&deep), Err(RunnerError::Refused { .. })));
}

/// What a backend in Go makes of a body: it folds the case of names, and of two the last one counts.
fn as_go_reads(body: &Value, field: &str) -> Vec<Value> {
    let folded = |name: &str| -> String {
        let fold = |letter| match letter {
            '\u{212a}' => 'k',
            '\u{17f}' => 's',
            other => char::to_ascii_lowercase(&other),
        };
        name.chars().map(fold).collect()
    };
    let fields = body.as_object().unwrap();
    fields.iter().filter(|(name, _)| folded(name) == field).map(|(_, value)| value.clone()).collect()
}

/// A name with some of its letters in another form, escaped or joined otherwise.
fn respelt(name: &'static str) -> impl Strategy<Value = String> {
    let letters: Vec<_> = name
        .chars()
        .map(|letter| {
            let forms = match letter {
                'k' => vec!["k".to_owned(), "K".into(), "\u{212a}".into(), "\\u212a".into()],
                's' => vec!["s".to_owned(), "S".into(), "\u{17f}".into(), "\\u017F".into()],
                '_' => vec!["_".to_owned(), String::new(), "-".into()],
                other => vec![
                    other.to_string(),
                    other.to_ascii_uppercase().to_string(),
                    format!("\\u{:04x}", u32::from(other)),
                ],
            };
            // Most letters stay, or hardly a name would be left as it was.
            prop_oneof![4 => Just(letter.to_string()), 1 => prop::sample::select(forms)]
        })
        .collect();
    letters.prop_map(|letters| letters.concat())
}

fn field() -> impl Strategy<Value = String> {
    let numbers =
        || prop::sample::select(vec!["100000", "1", "-1", "1e5", "\"100000\"", "null", "true", "[9]"]);
    let names = || {
        prop::sample::select(vec![
            "max_tokens",
            "max_completion_tokens",
            "n_predict",
            "num_predict",
            "max_new_tokens",
            "n",
            "best_of",
        ])
    };
    let part =
        prop::sample::select(vec!["image_url", "image", "file", "input_audio", "video_url", "url", "source"]);
    let media = prop::sample::select(vec![
        r#""http://a""#,
        r#"{"url":"http://a"}"#,
        r#"{"file_id":"http://a"}"#,
        r#"{"url":"data:,"}"#,
        r#"{"data":"AA==","URL":"http://a"}"#,
    ]);
    prop_oneof![
        names().prop_flat_map(respelt).prop_flat_map(move |name| numbers().prop_map(move |number| format!("\"{name}\":{number}"))),
        respelt("model").prop_map(|name| format!("\"{name}\":\"big:405b\"")),
        prop::sample::select(OVERRULING_FIELDS.to_vec()).prop_map(|name| format!("\"{name}\":[\"big:405b\"]")),
        (part.prop_flat_map(respelt), media).prop_map(|(name, medium)| {
            format!("\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"text\",\"text\":\"x\"}},{{\"type\":\"x\",\"{name}\":{medium}}}]}}]")
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_reaches_a_backend_is_what_was_paid_for(fields in prop::collection::vec(field(), 0..4), cap in 1_u64..50) {
        let request = format!("{{\"model\":\"small\"{}}}", fields.iter().map(|field| format!(",{field}")).collect::<String>());
        let request = read(&request).and_then(|request| ChatRequest::parse(&request, Some(cap)));
        let Ok(request) = request else { return Ok(()) };
        let body = request.body("small", form(AnswerForm::StreamWithUsage), request.limit(None).unwrap());
        let text = String::from_utf8(body.to_vec()).unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(as_go_reads(&body, "model"), [json!("small")]);
        let choices = as_go_reads(&body, "n").first().map_or(1, |n| n.as_u64().unwrap());
        prop_assert_eq!(choices, request.choices());
        for name in LIMITS {
            for limit in as_go_reads(&body, name) {
                prop_assert!(limit.as_u64().unwrap() * choices <= cap, "{text}");
            }
        }
        prop_assert_eq!(as_go_reads(&body, "max_tokens").len(), 1);
        prop_assert!(!text.contains("405b"), "{text}");
        prop_assert!(request.foreign_media().is_some() || !text.contains("http://"), "{text}");
    }
}

#[test]
fn what_is_not_touched_stays_as_it_was_written() {
    let request =
        r#"{"z":1.50,"model":"x","a":[1, 2],"big":123456789012345678901234567890,"temperature":1.0}"#;
    let request = ChatRequest::parse(&read(request).unwrap(), None).unwrap();
    let body = request.body("y", form(AnswerForm::Whole), None);
    let expected = r#"{"z":1.50,"model":"y","a":[1, 2],"big":123456789012345678901234567890,"temperature":1.0,"stream":false}"#;
    assert_eq!(body, expected);
}

#[test]
fn too_many_fields_are_refused() {
    let fields: Vec<String> = (0..600).map(|field| format!("\"{field}\":0")).collect();
    let request = read(&format!("{{{}}}", fields.join(","))).unwrap();
    assert!(matches!(ChatRequest::parse(&request, None), Err(RunnerError::Refused { .. })));
}
