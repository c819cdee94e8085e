//! A chat completion as an app asks for it: only what routing and billing need is read, everything else stays as it came.
//!
//! A body is read once and copied nowhere. Only where something has to be changed in it (a limit that means none, half a
//! character, our own progress) it is written anew, and read once more.

use std::collections::HashSet;

use bytes::Bytes;
use t4t_inference::{InferenceRequest, Kind, Reading, RequestFault};
use t4t_json::{Members, Splice};
use t4t_types::ModelId;

use super::fields::{self, Whole, field, json, whole};
use super::messages;
use crate::dialects::body;
use crate::wire::error::Rejection;

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
    pub(crate) fn read(body: Bytes) -> Result<Self, Rejection> {
        Self::of(body::read(body)?)
    }

    fn of(reading: Reading) -> Result<Self, Rejection> {
        fields::check(reading.layout())?;
        let mut splice = Splice::of(reading.text());
        let model = model(&reading)?;
        messages::check(&reading, &mut splice)?;
        for limit in ["max_tokens", "max_completion_tokens"] {
            if let Some(written) = token_limit(&reading, limit)? {
                splice.replace(json(&reading, limit).unwrap_or_default(), written);
            }
        }
        let choices = whole(&reading, "n")?;
        fields::check_choices(choices.as_ref())?;
        if let Some(written) = choices.and_then(|choices| choices.rewritten) {
            splice.replace(json(&reading, "n").unwrap_or_default(), written);
        }
        let has_tools = reading.has_tools();
        let stream = field(json(&reading, "stream"), "stream", "a boolean")?.unwrap_or(false);
        let include_usage = include_usage(&reading)?;
        let structured = has_tools || is_structured(&reading)?;
        let call_ids = reading.call_ids().clone();
        let changed = (!splice.is_empty()).then(|| splice.apply().into_owned());
        let request = match changed {
            None => InferenceRequest::of(Kind::Chat, reading),
            Some(changed) => InferenceRequest::read(Kind::Chat, changed.into()),
        };
        let request = request.map_err(rejected)?;
        if let Some(fault) = request.foreign_media() {
            return Err(rejected(fault.clone()));
        }
        Ok(Self { model, stream, include_usage, structured, has_tools, call_ids, request })
    }
}

/// What a backend could read otherwise than routing and billing do, and what it would have to fetch: nothing of it is
/// bought. The provider decides by the same rule.
fn rejected(fault: RequestFault) -> Rejection {
    Rejection { message: fault.problem, param: fault.param, code: fault.code }
}

fn model(reading: &Reading) -> Result<ModelId, Rejection> {
    let name: Option<String> = field(json(reading, "model"), "model", "a string")?;
    let name = name.ok_or_else(|| Rejection::missing("model", "a string"))?;
    name.parse().map_err(|error| Rejection::invalid_value("model", error))
}

/// Reads a limit on the answer; returns what has to be written for it, if that is something else. Frameworks send -1 and
/// 0 for "no limit", which some backends refuse and none needs.
fn token_limit(reading: &Reading, param: &str) -> Result<Option<String>, Rejection> {
    match whole(reading, param)? {
        Some(Whole { value: -1 | 0, .. }) => Ok(Some("null".to_owned())),
        Some(Whole { value, .. }) if value < 0 => {
            Err(Rejection::invalid_value(param, "expected a number of tokens, or -1, 0 or null for no limit"))
        }
        Some(Whole { rewritten, .. }) => Ok(rewritten),
        None => Ok(None),
    }
}

fn include_usage(reading: &Reading) -> Result<bool, Rejection> {
    let Some(options) = json(reading, "stream_options").and_then(|json| Members::read(json).ok()) else {
        return Ok(false);
    };
    let asked = options.get("include_usage").map(|asked| asked.get());
    Ok(field(asked, "stream_options.include_usage", "a boolean")?.unwrap_or(false))
}

fn is_structured(reading: &Reading) -> Result<bool, Rejection> {
    let Some(format) = json(reading, "response_format").and_then(|json| Members::read(json).ok()) else {
        return Ok(false);
    };
    let kind = format.get("type").map(|kind| kind.get());
    let kind: Option<String> = field(kind, "response_format.type", "a string")?;
    Ok(kind.is_some_and(|kind| kind != "text"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &[u8]) -> Result<ChatRequest, Rejection> {
        ChatRequest::read(Bytes::copy_from_slice(body))
    }

    /// A good request with one field set to `value`.
    fn with(field: &str, value: &str) -> String {
        let fields = [("model", r#""llama3:8b""#), ("messages", r#"[{"role":"user","content":"hi"}]"#)];
        let mut kept: Vec<_> = fields.into_iter().filter(|(name, _)| *name != field).collect();
        kept.push((field, value));
        let kept: Vec<_> = kept.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", kept.join(","))
    }

    fn rejection(body: &str) -> (Option<String>, &'static str) {
        let rejection = parse(body.as_bytes()).unwrap_err();
        assert!(!rejection.message.is_empty());
        (rejection.param, rejection.code)
    }

    #[test]
    fn the_body_is_kept_to_the_letter() {
        let body = r#" {"model":"a/b", "messages":[{"role":"user","content":[]}],"top_k":4.50,"x":{"z":1,"a":"\u00e9"} }
"#;
        let request = parse(body.as_bytes()).unwrap();
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
                let request = parse(with(field, limit).as_bytes()).unwrap();
                assert_eq!(request.request.json().as_str(), with(field, sent), "{field}: {limit}");
            }
        }
        let request = parse(with("n", "2.0").as_bytes()).unwrap();
        assert_eq!(request.request.json().as_str(), with("n", "2"));
    }

    #[test]
    fn half_a_character_and_a_byte_order_mark_lose_no_chat() {
        let body = with("messages", r#"[{"role":"user","content":"a\ud83d b\ud83d\ude00"}]"#);
        let expected = with("messages", r#"[{"role":"user","content":"a\ufffd b\ud83d\ude00"}]"#);
        for body in [body.clone(), format!("\u{feff}{body}"), format!("\u{feff}\n{body}")] {
            assert_eq!(parse(body.as_bytes()).unwrap().request.json().as_str(), expected);
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
        assert!(parse(b"{\"model\":\"\xff\"}").is_err());
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
            let request = parse(with(field, value).as_bytes()).unwrap();
            assert_eq!(request.structured, structured, "{field}: {value}");
        }
    }

    #[test]
    fn usage_is_included_only_when_asked_for() {
        for (value, asked) in [("{}", false), ("null", false), (r#"{"include_usage":true}"#, true)] {
            let request = parse(with("stream_options", value).as_bytes()).unwrap();
            assert_eq!(request.include_usage, asked, "{value}");
        }
    }

    #[test]
    fn a_body_that_needs_no_change_is_copied_nowhere() {
        let body = Bytes::from(format!(
            " {}\n",
            with("messages", &format!(r#"[{{"role":"user","content":"{}"}}]"#, "x".repeat(1 << 20)))
        ));
        let bought = ChatRequest::read(body.clone()).unwrap().request;
        let (sent, streaming) = (bought.json().bytes().clone(), bought.without_streaming());
        assert_eq!(sent.as_ptr(), body[1..].as_ptr(), "what is bought is what came from the app");
        assert!(
            streaming.finish().as_str().ends_with(r#","stream":false}"#),
            "and is written once, where it is sealed"
        );
    }

    #[test]
    fn a_field_that_some_readers_take_for_one_that_counts_is_refused() {
        for name in
            ["Model", "MAX_TOKENS", "max_to\u{212a}ens", "me\u{17f}sages", "N", "Max_Completion_Tokens"]
        {
            assert_eq!(rejection(&with(name, "1")), (Some(name.into()), "ambiguous_parameter"));
        }
        for name in ["top_k", "Temperature", "\u{17f}"] {
            assert!(parse(with(name, "1").as_bytes()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_medium_that_lies_elsewhere_is_named_by_its_place() {
        let messages = r#"[{"role":"user","content":"https://a.example"},
            {"role":"user","content":["https://a.example",{"type":"image_url","image_url":"https://a.example"}]}]"#;
        let rejection = parse(with("messages", messages).as_bytes()).unwrap_err();
        assert_eq!(rejection.param.as_deref(), Some("messages[1].content[1]"));
        assert!(rejection.message.contains("data:"), "{}", rejection.message);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(body: Vec<u8>) {
            let _: Result<ChatRequest, Rejection> = parse(&body);
        }

        #[test]
        fn any_value_anywhere_parses_or_is_refused(field in "[a-z_]{1,20}", value in "\\PC{0,40}") {
            let _: Result<ChatRequest, Rejection> = parse(with(&field, &value).as_bytes());
        }
    }
}
