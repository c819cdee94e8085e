//! A chat completion as an app asks for it: only what routing needs is read, everything else stays as it came.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use t4t_types::{ModelId, Sound};

use crate::wire::error::Rejection;

/// The most choices an app may ask for, as OpenAI has it.
const MAX_CHOICES: u64 = 128;

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
    /// The body as it came.
    pub(crate) raw: Box<RawValue>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow)]
    include_usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

impl ChatRequest {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(body).map_err(Rejection::not_json)?.trim_ascii();
        if text.is_empty() {
            return Err(Rejection::not_json("it is empty"));
        }
        let raw: &RawValue = serde_json::from_str(text).map_err(Rejection::not_json)?;
        if !text.starts_with('{') {
            return Err(Rejection::not_json("it is JSON, but not an object"));
        }
        // What passes here is read by others next, which look into every value.
        let Sound = serde_json::from_str(text).map_err(Rejection::unreadable)?;
        let fields: Fields<'_> = serde_json::from_str(text).map_err(Rejection::not_json)?;
        check_messages(fields.messages)?;
        check_numbers(&fields)?;
        Ok(Self {
            model: model(fields.model)?,
            stream: field(fields.stream, "stream", "a boolean")?.unwrap_or(false),
            include_usage: include_usage(fields.stream_options)?,
            structured: is_structured(&fields)?,
            raw: raw.to_owned(),
        })
    }
}

/// Reads one field; `null` is as good as absent.
fn field<T: DeserializeOwned>(
    raw: Option<&RawValue>,
    param: &str,
    expected: &str,
) -> Result<Option<T>, Rejection> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| Rejection::wrong_type(param, expected))
}

/// Reads one field that is an object.
fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue, param: &str) -> Result<T, Rejection> {
    let wrong = || Rejection::wrong_type(param, "an object");
    // A struct could also be read from an array.
    if !raw.get().starts_with('{') {
        return Err(wrong());
    }
    serde_json::from_str(raw.get()).map_err(|_| wrong())
}

fn model(raw: Option<&RawValue>) -> Result<ModelId, Rejection> {
    let name: Option<String> = field(raw, "model", "a string")?;
    let name = name.ok_or_else(|| Rejection::missing("model", "a string"))?;
    name.parse().map_err(|error| Rejection::invalid_value("model", error))
}

fn check_messages(raw: Option<&RawValue>) -> Result<(), Rejection> {
    let raw = raw.ok_or_else(|| Rejection::missing("messages", "an array of messages"))?;
    let messages: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Rejection::wrong_type("messages", "an array of messages"))?;
    if messages.is_empty() {
        return Err(Rejection::invalid_value("messages", "it is empty, expected at least one message"));
    }
    for (index, raw) in messages.into_iter().enumerate() {
        check_message(raw, &format!("messages[{index}]"))?;
    }
    Ok(())
}

fn check_message(raw: &RawValue, at: &str) -> Result<(), Rejection> {
    let message: Message<'_> = object(raw, at)?;
    let role = format!("{at}.role");
    let given: Option<String> = field(message.role, &role, "a string")?;
    if given.is_none() {
        return Err(Rejection::missing(&role, "a string"));
    }
    let content = message.content.map_or("null", RawValue::get);
    if content == "null" || content.starts_with(['"', '[']) {
        return Ok(());
    }
    Err(Rejection::wrong_type(&format!("{at}.content"), "a string or an array of parts"))
}

fn check_numbers(fields: &Fields<'_>) -> Result<(), Rejection> {
    // Backends take 0 and -1 for "no limit", so only the type is checked.
    let _: Option<i64> = field(fields.max_tokens, "max_tokens", "an integer")?;
    let _: Option<i64> = field(fields.max_completion_tokens, "max_completion_tokens", "an integer")?;
    let choices: Option<i64> = field(fields.n, "n", "an integer")?;
    let fits = |choices| u64::try_from(choices).is_ok_and(|choices| (1..=MAX_CHOICES).contains(&choices));
    if choices.is_some_and(|choices| !fits(choices)) {
        return Err(Rejection::invalid_value("n", format!("expected 1 to {MAX_CHOICES}")));
    }
    Ok(())
}

fn include_usage(raw: Option<&RawValue>) -> Result<bool, Rejection> {
    let Some(raw) = raw else { return Ok(false) };
    let options: StreamOptions<'_> = object(raw, "stream_options")?;
    Ok(field(options.include_usage, "stream_options.include_usage", "a boolean")?.unwrap_or(false))
}

fn is_structured(fields: &Fields<'_>) -> Result<bool, Rejection> {
    for (raw, param) in [(fields.tools, "tools"), (fields.functions, "functions")] {
        let Some(raw) = raw else { continue };
        let tools: Vec<&RawValue> =
            serde_json::from_str(raw.get()).map_err(|_| Rejection::wrong_type(param, "an array"))?;
        if !tools.is_empty() {
            return Ok(true);
        }
    }
    let Some(raw) = fields.response_format else { return Ok(false) };
    let format: ResponseFormat<'_> = object(raw, "response_format")?;
    let kind: Option<String> = field(format.kind, "response_format.type", "a string")?;
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
        assert_eq!(request.raw.get(), body.trim());
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
        ];
        for (field, value, param, code) in cases {
            assert_eq!(rejection(&with(field, value)), (Some(param.into()), code), "{field}: {value}");
        }
    }

    #[test]
    fn what_is_not_a_json_object_is_refused() {
        let deep = with("x", &format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)));
        let twice = r#"{"model":"a","model":"b","messages":[{"role":"user"}]}"#;
        let half_an_emoji = with("messages", r#"[{"role":"user","content":"\ud83d"}]"#);
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
            "\u{feff}{}",
            &deep,
            twice,
            &half_an_emoji,
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
            ("tools", "[{}]", true),
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
