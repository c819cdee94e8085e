//! The app's request on its way to the backend: another model name, streaming with usage, a limit on the answer, and
//! everything else as the app wrote it.

use serde_json::Value;
use serde_json::value::RawValue;
use t4t_api::inference_runner::RunnerError;

use crate::metering::PromptSize;
use crate::raw_object::RawObject;

/// Answers per request; OpenAI's own limit.
pub(crate) const MAX_CHOICES: u64 = 128;

/// The names under which backends take a limit on the answer. Ollama knows only the first; llama.cpp lets `n_predict`
/// overrule it, so a cap holds only if it is in every one.
const LIMITS: [&str; 4] = ["max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens"];

/// Above it a number with a point is no limit; every whole number below is exact.
const LARGEST_LIMIT: f64 = 9e15;

/// How the backend is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// A stream with the usage at its end.
    StreamWithUsage,
    /// A stream, for a backend that does not know `stream_options`.
    Stream,
    /// One piece, for a backend that can't stream.
    Whole,
}

/// A chat request, ready to be sent to any backend.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    fields: RawObject,
    prompt: PromptSize,
    names_media: bool,
}

impl ChatRequest {
    /// Reads the app's request and limits its answer to `cap` completion tokens over all choices.
    ///
    /// # Errors
    /// [`RunnerError::BadRequest`] for what no backend could serve.
    pub(crate) fn parse(request: &RawValue, cap: Option<u64>) -> Result<Self, RunnerError> {
        let unreadable = |error: serde_json::Error| refused(format!("the request can't be read: {error}"));
        let mut fields: RawObject = serde_json::from_str(request.get()).map_err(unreadable)?;
        let messages = fields.get("messages").map(|messages| serde_json::from_str::<Value>(messages.get()));
        let messages = messages.transpose().map_err(unreadable)?.unwrap_or_default();
        let prompt = PromptSize::of(request.get().len(), &messages);
        limit_answer(&mut fields, cap)?;
        show_reasoning(&mut fields).map_err(unreadable)?;
        Ok(Self { fields, prompt, names_media: names_media(&messages) })
    }

    /// How many answers were asked for.
    pub(crate) fn choices(&self) -> u64 {
        positive(&self.fields, "n").unwrap_or(1)
    }

    /// Whether a message names pictures or other media that the backend would have to fetch.
    pub(crate) fn names_media(&self) -> bool {
        self.names_media
    }

    /// How large the prompt can be.
    pub(crate) fn prompt(&self) -> &PromptSize {
        &self.prompt
    }

    /// The body for a backend that calls the model `model`.
    pub(crate) fn body(&self, model: &str, form: AnswerForm) -> Result<Vec<u8>, RunnerError> {
        let mut fields = self.fields.clone();
        let edited = edit(&mut fields, model, form).and_then(|()| serde_json::to_vec(&fields));
        edited.map_err(|error| refused(format!("the request can't be written: {error}")))
    }
}

/// What is said of a request that no backend is asked with.
pub(crate) fn refused(message: String) -> RunnerError {
    RunnerError::BadRequest { status: 400, message, body: None }
}

fn edit(fields: &mut RawObject, model: &str, form: AnswerForm) -> Result<(), serde_json::Error> {
    fields.set_to("model", &model)?;
    fields.set_to("stream", &(form != AnswerForm::Whole))?;
    if form != AnswerForm::StreamWithUsage {
        fields.remove("stream_options");
        return Ok(());
    }
    let given = fields.get("stream_options").and_then(|options| serde_json::from_str(options.get()).ok());
    let mut options: RawObject = given.unwrap_or_default();
    options.set_to("include_usage", &true)?;
    fields.set_to("stream_options", &options)
}

/// Takes out what hides the model's reasoning: it is work that is paid for, and what is not shown can't be counted.
fn show_reasoning(fields: &mut RawObject) -> Result<(), serde_json::Error> {
    fields.remove("include_reasoning");
    let is_hidden = |format: &RawValue| format.get().contains("hidden");
    if fields.get("reasoning_format").is_some_and(is_hidden) {
        fields.remove("reasoning_format");
    }
    let given = fields.get("reasoning").and_then(|options| serde_json::from_str(options.get()).ok());
    let Some(mut options): Option<RawObject> = given else { return Ok(()) };
    if options.get("exclude").is_none() {
        return Ok(());
    }
    options.remove("exclude");
    fields.set_to("reasoning", &options)
}

/// Whether a part of a message is to be fetched from somewhere. A backend that did would knock at any door of its own
/// network that a stranger names, and tell in its error what is behind it.
fn names_media(messages: &Value) -> bool {
    let parts = messages.as_array().into_iter().flatten().filter_map(|message| message.get("content"));
    parts.filter(|content| !content.is_string()).any(names_address)
}

fn names_address(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(names_address),
        Value::Object(fields) => fields.iter().any(|(name, value)| match value {
            Value::String(text) => name.ends_with("url") && !is_data(text),
            value => names_address(value),
        }),
        _ => false,
    }
}

fn is_data(url: &str) -> bool {
    url.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

fn limit_answer(fields: &mut RawObject, cap: Option<u64>) -> Result<(), RunnerError> {
    let choices = positive(fields, "n").unwrap_or(1);
    if choices > MAX_CHOICES {
        return Err(refused(format!("n is at most {MAX_CHOICES}")));
    }
    // Each choice may be as long as the limit, and the payment covers all of them together.
    let cap = cap.map(|cap| cap / choices);
    if cap == Some(0) {
        return Err(refused("the payment covers no answer; raise max_tokens or lower n".into()));
    }
    let asked = positive(fields, "max_tokens").or_else(|| positive(fields, "max_completion_tokens"));
    let limits = LIMITS.into_iter().filter(|&name| name == "max_tokens" || fields.get(name).is_some());
    let limits: Vec<&str> = limits.collect();
    for name in limits {
        let own = if name == "max_tokens" { asked } else { positive(fields, name) };
        let limit = match (own, cap) {
            (Some(own), Some(cap)) => own.min(cap),
            (Some(limit), None) | (None, Some(limit)) => limit,
            (None, None) => continue,
        };
        // Left in its own text where nothing changes.
        if positive(fields, name) != Some(limit) {
            fields.set_to(name, &limit).map_err(|error| refused(error.to_string()))?;
        }
    }
    Ok(())
}

/// The field as a whole number above zero, also if it was written with a point or an exponent; anything else is no
/// limit.
fn positive(fields: &RawObject, field: &str) -> Option<u64> {
    let text = fields.get(field)?.get();
    let exact = text.parse::<u64>().ok();
    let whole = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && *number < LARGEST_LIMIT);
    exact.or_else(|| whole().map(|number| number as u64)).filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(request: &Value, cap: Option<u64>, form: AnswerForm) -> Value {
        let raw = serde_json::value::to_raw_value(request).unwrap();
        let request = ChatRequest::parse(&raw, cap).unwrap();
        serde_json::from_slice(&request.body("backend-name", form).unwrap()).unwrap()
    }

    fn limits(request: Value, cap: Option<u64>) -> Value {
        let mut sent = sent(&request, cap, AnswerForm::Whole);
        let fields = sent.as_object_mut().unwrap();
        fields.retain(|field, _| LIMITS.contains(&field.as_str()));
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
            (json!({"max_tokens": 5.5}), Some(9), json!({"max_tokens": 9})),
            (json!({"max_tokens": 5.0}), Some(9), json!({"max_tokens": 5.0})),
            (json!({"max_tokens": 5.0, "n": 3}), Some(9), json!({"max_tokens": 3})),
            (json!({"max_tokens": -1}), None, json!({"max_tokens": -1})),
            (json!({"max_completion_tokens": 5}), None, json!({"max_tokens": 5, "max_completion_tokens": 5})),
            (
                json!({"max_completion_tokens": 50, "max_tokens": 3}),
                Some(9),
                json!({"max_tokens": 3, "max_completion_tokens": 9}),
            ),
            (json!({"n_predict": 99}), Some(9), json!({"max_tokens": 9, "n_predict": 9})),
            (json!({"n": 3, "max_tokens": 5}), Some(9), json!({"max_tokens": 3})),
        ];
        for (request, cap, expected) in cases {
            assert_eq!(limits(request.clone(), cap), expected, "{request} {cap:?}");
        }
    }

    #[test]
    fn a_payment_for_less_than_one_token_each_is_refused() {
        for (request, cap) in [("{}", Some(0)), (r#"{"n":3}"#, Some(2)), (r#"{"n":129}"#, None), ("[]", None)]
        {
            let raw = RawValue::from_string(request.into()).unwrap();
            let refused = ChatRequest::parse(&raw, cap);
            assert!(matches!(refused, Err(RunnerError::BadRequest { status: 400, .. })), "{request}");
        }
    }

    #[test]
    fn reasoning_is_shown_because_it_is_paid_for() {
        let request = json!({"include_reasoning": false, "reasoning_format": "hidden", "reasoning": {"effort": "low", "exclude": true}});
        let expected = json!({"model": "backend-name", "stream": false, "reasoning": {"effort": "low"}});
        assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
        let request = json!({"model": "backend-name", "stream": false, "reasoning_format": "deepseek", "reasoning": "x"});
        assert_eq!(sent(&request, None, AnswerForm::Whole), request);
    }

    #[test]
    fn media_that_would_have_to_be_fetched_are_seen() {
        let named = |parts: Value| names_media(&json!([{"role": "user", "content": parts}]));
        for url in
            ["http://169.254.169.254/", "HTTPS://a", "file:///etc/passwd", "//a", " http://a", "", "data"]
        {
            assert!(named(json!([{"type": "image_url", "image_url": {"url": url}}])), "{url}");
        }
        assert!(named(json!([{"type": "video_url", "video_url": "http://a"}])));
        assert!(named(json!({"type": "input_audio", "input_audio": [{"file_url": "http://a"}]})));
        for parts in [
            json!("see http://a"),
            json!([{"type": "text", "text": "http://a"}]),
            json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),
            json!([{"type": "image_url", "image_url": {"url": "DATA:image/png;base64,AA=="}}]),
            json!(null),
        ] {
            assert!(!named(parts.clone()), "{parts}");
        }
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
        let deep = format!(r#"{{"messages":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        let raw = RawValue::from_string(deep).unwrap();
        assert!(matches!(ChatRequest::parse(&raw, None), Err(RunnerError::BadRequest { .. })));
    }
}
