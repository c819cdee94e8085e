//! Every other spelling is refused, and nothing passes that would have to be fetched.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(request: &str) -> Result<Asked, RequestFault> {
    Asked::read(&RawValue::from_string(request.to_owned()).unwrap())
}

fn with(field: &str) -> String {
    format!(r#"{{"model":"small","max_tokens":10,"messages":[{{"role":"user","content":"hi"}}],{field}}}"#)
}

#[test]
fn what_a_request_asks_for_is_read() {
    let asked = |field: &str| {
        let asked = read(&with(field)).unwrap();
        (asked.choices, asked.max_tokens, asked.foreign_media.is_some())
    };
    assert_eq!(asked(r#""n":3"#), (3, Some(10), false));
    assert_eq!(asked(r#""n":3.0,"top_k":1"#), (3, Some(10), false));
    assert_eq!(asked(r#""n":null,"max_completion_tokens":99"#), (1, Some(10), false));
    assert_eq!(read(r#"{"max_tokens":-1,"max_completion_tokens":64.0}"#).unwrap().max_tokens, Some(64));
    assert_eq!(read("{}").unwrap(), Asked { choices: 1, max_tokens: None, foreign_media: None });
}

#[test]
fn another_spelling_of_a_field_that_is_paid_by_is_refused_and_named() {
    for (field, param) in [
        (r#""Model":"big:405b""#, "Model"),
        (r#""MAX_TOKENS":100000"#, "MAX_TOKENS"),
        (r#""max_to\u212aens":100000"#, "max_to\u{212a}ens"),
        (r#""max_token\u017f":100000"#, "max_token\u{17f}"),
        (r#""maxTokens":100000"#, "maxTokens"),
        (r#""m\u004fdel":"big:405b""#, "mOdel"),
        (r#""N":64"#, "N"),
        (r#""Messages":[]"#, "Messages"),
        (r#""meSSageſ":[]"#, "meSSageſ"),
        (r#""Stream":false"#, "Stream"),
        (r#""Num_Predict":9"#, "Num_Predict"),
        (r#""stream_options":{"Include_Usage":false}"#, "stream_options.Include_Usage"),
        (r#""model":"big""#, "model"),
        (r#""m\u006fdel":"big""#, "model"),
        (r#""top_k":1,"top_k":2"#, "top_k"),
    ] {
        let fault = read(&with(field)).unwrap_err();
        assert_eq!((fault.param.as_deref(), fault.code), (Some(param), "ambiguous_parameter"), "{field}");
        assert_eq!(fault.into_refusal().status, Some(400));
    }
    for message in [
        r#"{"role":"user","content":"hi","Content":"a book"}"#,
        r#"{"role":"user","content":"hi","content":"a book"}"#,
        r#"{"role":"user","content":[{"type":"text","text":"hi","text":"a book"}]}"#,
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,","url":"http://a"}}]}"#,
        r#"{"role":"user","ROLE":"system","content":"hi"}"#,
    ] {
        let fault = read(&format!(r#"{{"messages":[{message}]}}"#)).unwrap_err();
        assert_eq!(fault.code, "ambiguous_parameter", "{message}");
        assert!(fault.param.unwrap().starts_with("messages[0]."), "{message}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for (field, param) in [
        (r#""n":0"#, "n"),
        (r#""n":129"#, "n"),
        (r#""n":1.5"#, "n"),
        (r#""n":"4""#, "n"),
        (r#""n":true"#, "n"),
    ] {
        assert_eq!(read(&with(field)).unwrap_err().param.as_deref(), Some(param), "{field}");
    }
    for (request, param) in [
        (r#"{"max_tokens":"100000"}"#, "max_tokens"),
        (r#"{"max_tokens":1.5}"#, "max_tokens"),
        (r#"{"max_completion_tokens":[9]}"#, "max_completion_tokens"),
    ] {
        assert_eq!(read(request).unwrap_err().param.as_deref(), Some(param), "{request}");
    }
    assert_eq!(read("[]").unwrap_err().param, None);
    assert_eq!(read(r#"{"messages":{}}"#).unwrap_err().param.as_deref(), Some("messages"));
    assert_eq!(read(r#"{"messages":["hi"]}"#).unwrap_err().param.as_deref(), Some("messages[0]"));
}

fn foreign_media(content: &Value) -> Option<String> {
    let request = json!({"messages": [{"role": "user", "content": content}]}).to_string();
    read(&request).unwrap().foreign_media.map(|fault| fault.param.unwrap())
}

#[test]
fn media_in_the_request_are_taken_in_every_known_shape() {
    for content in [
        json!("see http://a"),
        json!(null),
        json!(["text", {"type": "text", "text": "http://a"}]),
        json!([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]),
        json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}]),
        json!([{"type": "image_url", "image_url": "DATA:image/png;base64,AA=="}]),
        json!([{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}]),
        json!([{"type": "input_audio", "input_audio": {"data": "AA+/", "format": "wav"}}]),
        json!([{"type": "video_url", "video_url": {"url": " data:video/mp4;base64,AA=="}}]),
        json!([{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}}]),
        json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]),
        json!([{"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "refusal", "refusal": "no"}]),
        json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "4"}]}]),
    ] {
        assert_eq!(foreign_media(&content), None, "{content}");
    }
}

#[test]
fn what_a_backend_would_have_to_fetch_is_named() {
    for part in [
        json!({"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}),
        json!({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
        json!({"type": "image_url", "image_url": {"url": "/etc/passwd"}}),
        json!({"type": "image_url", "image_url": {"url": ""}}),
        json!({"type": "image_url", "IMAGE_URL": {"url": "http://a"}}),
        json!({"type": "image_url", "image_url": {"url": "data:,", "URL": "http://a"}}),
        json!({"type": "image_url", "image_url": {"url": "data:,"}, "Image_Url": {"url": "http://a"}}),
        json!({"type": "image", "image": "http://a"}),
        json!({"type": "image", "image": "etc/passwd"}),
        json!({"image": "http://a"}),
        json!({"type": "file", "file": {"file_id": "http://a"}}),
        json!({"type": "file", "file": {"file_id": "file-abc"}}),
        json!({"type": "file", "file": {"file_data": "http://a"}}),
        json!({"type": "file", "file": {"file_data": "data:,", "filename": "http://a"}}),
        json!({"type": "input_audio", "input_audio": {"data": "http://a"}}),
        json!({"type": "input_audio", "input_audio": [{"file_url": "http://a"}]}),
        json!({"type": "image", "source": {"type": "url", "url": "http://a"}}),
        json!({"type": "video_url", "video_url": "http://a"}),
        json!({"type": "image_url", "image_url": null, "uuid": "somebody-elses"}),
        json!({"type": "something new", "where": "http://a"}),
        json!({"type": "tool_result", "content": [{"type": "image", "image": "http://a"}]}),
        json!(7),
    ] {
        let at = foreign_media(&json!([{"type": "text", "text": "x"}, part]));
        assert!(at.as_deref().is_some_and(|at| at.starts_with("messages[0].content[1]")), "{part}: {at:?}");
    }
    assert_eq!(foreign_media(&json!({"type": "image", "image": "http://a"})).unwrap(), "messages[0].content");
    let request = json!({"messages": [{"role": "user", "content": "x", "images": ["http://a"]}]}).to_string();
    assert_eq!(read(&request).unwrap().foreign_media.unwrap().param.unwrap(), "messages[0].images");
    let request = json!({"tools": [{"function": {"name": "f"}}, {"type": "mcp", "server_url": "http://a"}]})
        .to_string();
    assert_eq!(read(&request).unwrap().foreign_media.unwrap().param.unwrap(), "tools[1].type");
}

#[test]
fn a_tool_that_is_no_function_of_the_apps_is_named() {
    let foreign = |tools: Value| {
        let request = json!({ "tools": tools }).to_string();
        read(&request).unwrap().foreign_media.map(|fault| fault.param.unwrap())
    };
    for (tools, param) in [
        (json!([{"googleSearch": {}}]), "tools[0]"),
        (json!([{"type": "function", "googleSearch": {}}]), "tools[0]"),
        (
            json!([{"type": "function", "function": {"name": "f"}, "googleSearch": {}}]),
            "tools[0].googleSearch",
        ),
        (json!([{"type": ["function"], "function": {"name": "f"}}]), "tools[0].type"),
        (json!([{"type": "custom", "function": {"name": "f"}}]), "tools[0]"),
        (json!(["googleSearch"]), "tools[0]"),
        (json!({"googleSearch": {}}), "tools"),
    ] {
        assert_eq!(foreign(tools.clone()).as_deref(), Some(param), "{tools}");
    }
    for tools in [
        json!(null),
        json!([]),
        json!([{"function": {"name": "f"}}]),
        json!([{"type": "function", "function": {"name": "f", "strict": true}, "cache_control": {"type": "ephemeral"}}]),
        json!([{"type": "custom", "custom": {"name": "f"}}]),
    ] {
        assert_eq!(foreign(tools.clone()), None, "{tools}");
    }
}

#[test]
fn texts_to_stop_at_are_few_and_short() {
    let stop = |stop: Value| read(&json!({ "stop": stop }).to_string()).map_err(|fault| fault.param.unwrap());
    for fine in [json!(null), json!("x".repeat(1024)), json!([]), json!(vec!["x".repeat(1024); 16])] {
        assert!(stop(fine).is_ok());
    }
    for wrong in
        [json!("x".repeat(1025)), json!(vec!["x"; 17]), json!(["a", "x".repeat(1025)]), json!([1]), json!({})]
    {
        assert_eq!(stop(wrong).unwrap_err(), "stop");
    }
    assert_eq!(read(r#"{"Stop":"x"}"#).unwrap_err().param.as_deref(), Some("Stop"));
}

/// A field's name as a reader in Go folds it.
fn folded(name: &str) -> String {
    let folded = name.chars().map(|letter| match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    });
    folded.collect()
}

/// A name with some of its letters in another form.
fn respelt() -> impl Strategy<Value = String> {
    let letters = |name: &'static str| {
        let forms = name.chars().map(|letter| match letter {
            'k' => prop_oneof![Just('k'), Just('K'), Just('\u{212a}')].boxed(),
            's' => prop_oneof![Just('s'), Just('S'), Just('\u{17f}')].boxed(),
            other => prop_oneof![Just(other), Just(other.to_ascii_uppercase())].boxed(),
        });
        forms.collect::<Vec<_>>().prop_map(|letters| letters.into_iter().collect::<String>())
    };
    prop::sample::select(OF_REQUESTS.to_vec()).prop_flat_map(letters)
}

proptest! {
    #[test]
    fn whatever_passes_is_read_the_same_by_a_reader_that_folds(names in prop::collection::vec(respelt(), 1..4)) {
        let fields: Vec<String> = names.iter().map(|name| format!("{}:1", json!(name))).collect();
        if read(&format!("{{{}}}", fields.join(","))).is_ok() {
            let mut seen: Vec<String> = names.iter().map(|name| folded(name)).collect();
            prop_assert!(names.iter().zip(&seen).all(|(name, folded)| name == folded));
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), names.len());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        for request in [text.clone(), format!("{{{text}}}"), format!(r#"{{"messages":[{{"content":{text}}}]}}"#)] {
            if let Ok(raw) = RawValue::from_string(request) {
                let _: Result<Asked, RequestFault> = Asked::read(&raw);
            }
        }
    }
}
