//! A chat completion as an app asks for it: only what routing and billing need is read, everything else stays as it came.

use std::collections::HashSet;

use serde_json::value::RawValue;
use t4t_inference::InferenceRequest;
use t4t_json::{Members, Sound, Splice};
use t4t_types::ModelId;

use super::error::Rejection;
use super::fields::{self, Whole, field, whole};
use super::{foreign, halves, messages};

/// What some editors and shells put before a text; one is skipped.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An app's request.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// The model.
    pub(crate) model: ModelId,
    /// Whether the answer is to come as a stream.
    pub(crate) stream: bool,
    /// Whether the stream is to end with the usage.
    pub(crate) include_usage: bool,
    /// Whether a program is going to read the answer: structured output, or tools.
    pub(crate) structured: bool,
    /// Whether the model may call tools.
    pub(crate) has_tools: bool,
    /// The ids of the tool calls in earlier answers.
    pub(crate) call_ids: HashSet<String>,
    /// The body as it came, apart from what no provider could read and what is none of its business.
    pub(crate) request: InferenceRequest,
}

impl ChatRequest {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(Rejection::not_json)?.trim_ascii();
        if text.is_empty() {
            return Err(Rejection::not_json("it is empty"));
        }
        let text = &*halves::mended(text);
        let raw: &RawValue = serde_json::from_str(text).map_err(Rejection::not_json)?;
        if !text.starts_with('{') {
            return Err(Rejection::not_json("it is JSON, but not an object"));
        }
        // What passes here is read by others next, which look into every value.
        let Sound = serde_json::from_str(text).map_err(Rejection::unreadable)?;
        Self::read(raw)
    }

    fn read(raw: &RawValue) -> Result<Self, Rejection> {
        let text = raw.get();
        let fields: Members<'_> = serde_json::from_str(text).map_err(Rejection::not_json)?;
        fields::check(&fields)?;
        let mut splice = Splice::of(text);
        let model = model(&fields)?;
        let call_ids = messages::check(fields.get("messages"), &mut splice)?;
        for limit in ["max_tokens", "max_completion_tokens"] {
            if let Some(written) = token_limit(&fields, limit)? {
                splice.replace(fields.get(limit).map_or("", RawValue::get), written);
            }
        }
        let choices = whole(&fields, "n")?;
        fields::check_choices(choices.as_ref())?;
        if let Some(written) = choices.and_then(|choices| choices.rewritten) {
            splice.replace(fields.get("n").map_or("", RawValue::get), written);
        }
        let has_tools = has_tools(&fields);
        Ok(Self {
            model,
            stream: field(fields.get("stream"), "stream", "a boolean")?.unwrap_or(false),
            include_usage: include_usage(&fields)?,
            structured: has_tools || is_structured(&fields)?,
            has_tools,
            call_ids,
            request: foreign::read(splice.apply().into_owned())?,
        })
    }
}

fn model(fields: &Members<'_>) -> Result<ModelId, Rejection> {
    let name: Option<String> = field(fields.get("model"), "model", "a string")?;
    let name = name.ok_or_else(|| Rejection::missing("model", "a string"))?;
    name.parse().map_err(|error| Rejection::invalid_value("model", error))
}

/// Reads a limit on the answer; returns what has to be written for it, if that is something else. Frameworks send -1 and
/// 0 for "no limit", which some backends refuse and none needs.
fn token_limit(fields: &Members<'_>, param: &str) -> Result<Option<String>, Rejection> {
    match whole(fields, param)? {
        Some(Whole { value: -1 | 0, .. }) => Ok(Some("null".to_owned())),
        Some(Whole { value, .. }) if value < 0 => {
            Err(Rejection::invalid_value(param, "expected a number of tokens, or -1, 0 or null for no limit"))
        }
        Some(Whole { rewritten, .. }) => Ok(rewritten),
        None => Ok(None),
    }
}

fn include_usage(fields: &Members<'_>) -> Result<bool, Rejection> {
    let Some(options) = fields.get("stream_options").and_then(|raw| Members::read(raw.get()).ok()) else {
        return Ok(false);
    };
    let asked = field(options.get("include_usage"), "stream_options.include_usage", "a boolean")?;
    Ok(asked.unwrap_or(false))
}

fn has_tools(fields: &Members<'_>) -> bool {
    ["tools", "functions"].into_iter().filter_map(|name| fields.get(name)).any(|tools| {
        let tools: Result<Vec<&RawValue>, _> = serde_json::from_str(tools.get());
        tools.is_ok_and(|tools| !tools.is_empty())
    })
}

fn is_structured(fields: &Members<'_>) -> Result<bool, Rejection> {
    let Some(format) = fields.get("response_format").and_then(|raw| Members::read(raw.get()).ok()) else {
        return Ok(false);
    };
    let kind: Option<String> = field(format.get("type"), "response_format.type", "a string")?;
    Ok(kind.is_some_and(|kind| kind != "text"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A good request with one field set to `value`.
    fn with(field: &str, value: &str) -> String {
        let fields = [("model", r#""llama3:8b""#), ("messages", r#"[{"role":"user","content":"hi"}]"#)];
        let mut kept: Vec<_> = fields.into_iter().filter(|(name, _)| *name != field).collect();
        kept.push((field, value));
        let kept: Vec<_> = kept.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", kept.join(","))
    }

    fn rejection(body: &str) -> (Option<String>, &'static str) {
        let rejection = ChatRequest::parse(body.as_bytes()).unwrap_err();
        assert!(!rejection.message.is_empty());
        (rejection.param, rejection.code)
    }

    #[test]
    fn the_body_is_kept_to_the_letter() {
        let body = r#" {"model":"a/b", "messages":[{"role":"user","content":[]}],"top_k":4.50,"x":{"z":1,"a":"\u00e9"} }
"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.request.json().as_str(), body.trim());
        assert_eq!(request.model.as_str(), "a/b");
        assert!(!request.stream && !request.include_usage && !request.structured);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let cases = [
            ("model", "null", "model", "missing_required_parameter"),
            ("model", "5", "model", "invalid_type"),
            ("model", r#""""#, "model", "invalid_value"),
            ("messages", "null", "messages", "missing_required_parameter"),
            ("messages", r#""hi""#, "messages", "invalid_type"),
            ("messages", "[]", "messages", "invalid_value"),
            ("messages", r#"["hi"]"#, "messages[0]", "invalid_type"),
            ("messages", r#"[["user","hi"]]"#, "messages[0]", "invalid_type"),
            ("messages", r#"[{"content":"hi"}]"#, "messages[0].role", "missing_required_parameter"),
            ("messages", r#"[{"role":"user"},{"role":1}]"#, "messages[1].role", "invalid_type"),
            ("messages", r#"[{"role":"user","content":5}]"#, "messages[0].content", "invalid_type"),
            ("stream", r#""yes""#, "stream", "invalid_type"),
            ("stream", "1", "stream", "invalid_type"),
            ("stream_options", "true", "stream_options", "invalid_type"),
            ("stream_options", r#"{"include_usage":1}"#, "stream_options.include_usage", "invalid_type"),
            ("response_format", r#""json""#, "response_format", "invalid_type"),
            ("response_format", r#"{"type":1}"#, "response_format.type", "invalid_type"),
            ("tools", "{}", "tools", "invalid_type"),
            ("n", "0", "n", "invalid_value"),
            ("n", "129", "n", "invalid_value"),
            ("n", "1.5", "n", "invalid_type"),
            ("max_tokens", "64.5", "max_tokens", "invalid_type"),
            ("max_tokens", r#""64""#, "max_tokens", "invalid_type"),
            ("max_completion_tokens", "1e99", "max_completion_tokens", "invalid_type"),
            ("max_tokens", "-2", "max_tokens", "invalid_value"),
            ("messages", r#"[{"role":"human"}]"#, "messages[0].role", "invalid_value"),
            ("messages", r#"[{"role":"user","content":{}}]"#, "messages[0].content", "invalid_type"),
            ("messages", r#"[{"role":"user","content":[5]}]"#, "messages[0].content[0]", "invalid_type"),
            (
                "messages",
                r#"[{"role":"assistant","tool_calls":{}}]"#,
                "messages[0].tool_calls",
                "invalid_type",
            ),
            ("temperature", r#""hot""#, "temperature", "invalid_type"),
            ("tools", "[1]", "tools", "invalid_type"),
            ("MAX_TOKENS", "9", "MAX_TOKENS", "ambiguous_parameter"),
        ];
        for (field, value, param, code) in cases {
            assert_eq!(rejection(&with(field, value)), (Some(param.into()), code), "{field}: {value}");
        }
    }

    #[test]
    fn a_limit_that_means_none_is_unset_and_a_whole_number_is_written_as_one() {
        for (limit, sent) in
            [("-1", "null"), ("0", "null"), ("-1.0", "null"), ("null", "null"), ("64.0", "64"), ("64", "64")]
        {
            for field in ["max_tokens", "max_completion_tokens"] {
                let request = ChatRequest::parse(with(field, limit).as_bytes()).unwrap();
                assert_eq!(request.request.json().as_str(), with(field, sent), "{field}: {limit}");
            }
        }
        let request = ChatRequest::parse(with("n", "2.0").as_bytes()).unwrap();
        assert_eq!(request.request.json().as_str(), with("n", "2"));
    }

    #[test]
    fn half_a_character_and_a_byte_order_mark_lose_no_chat() {
        let body = with("messages", r#"[{"role":"user","content":"a\ud83d b\ud83d\ude00"}]"#);
        let expected = with("messages", r#"[{"role":"user","content":"a\ufffd b\ud83d\ude00"}]"#);
        for body in [body.clone(), format!("\u{feff}{body}"), format!("\u{feff}\n{body}")] {
            assert_eq!(ChatRequest::parse(body.as_bytes()).unwrap().request.json().as_str(), expected);
        }
    }

    #[test]
    fn what_is_not_a_json_object_is_refused() {
        let deep = with("x", &format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)));
        let twice = r#"{"model":"a","model":"b","messages":[{"role":"user"}]}"#;
        let beyond_a_double = with("x", "[1e999]");
        for body in [
            "",
            "  ",
            "{",
            "[]",
            "null",
            "\"hi\"",
            "{} {}",
            "{'a':1}",
            "\u{feff}\u{feff}{}",
            "{\u{feff}}",
            &deep,
            twice,
            &beyond_a_double,
        ] {
            let (param, code) = rejection(body);
            assert_eq!((param, code), (None, "invalid_json"), "{}", &body[..body.len().min(40)]);
        }
        assert!(ChatRequest::parse(b"{\"model\":\"\xff\"}").is_err());
    }

    #[test]
    fn what_a_program_reads_is_structured() {
        let cases = [
            ("response_format", r#"{"type":"json_object"}"#, true),
            ("response_format", r#"{"type":"text"}"#, false),
            ("response_format", "null", false),
            ("tools", "[]", false),
            ("tools", r#"[{"type":"function","function":{"name":"f"}}]"#, true),
            ("functions", "[{}]", true),
        ];
        for (field, value, structured) in cases {
            let request = ChatRequest::parse(with(field, value).as_bytes()).unwrap();
            assert_eq!(request.structured, structured, "{field}: {value}");
        }
    }

    #[test]
    fn usage_is_included_only_when_asked_for() {
        for (value, asked) in [("{}", false), ("null", false), (r#"{"include_usage":true}"#, true)] {
            let request = ChatRequest::parse(with("stream_options", value).as_bytes()).unwrap();
            assert_eq!(request.include_usage, asked, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(body: Vec<u8>) {
            let _: Result<ChatRequest, Rejection> = ChatRequest::parse(&body);
        }

        #[test]
        fn any_value_anywhere_parses_or_is_refused(field in "[a-z_]{1,20}", value in "\\PC{0,40}") {
            let _: Result<ChatRequest, Rejection> = ChatRequest::parse(with(&field, &value).as_bytes());
        }
    }
}
