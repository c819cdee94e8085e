//! What a chat request asks for, read once for all: what routing and billing go by is what a backend can see.
//!
//! Backends written in Go read `Model` and `MAX_TOKENS` as `model` and `max_tokens`, and of a field that is given
//! twice some take the first and some the last. A request that could be read in two ways is refused, by the gateway
//! before it is paid and by the runner before it is served. Media are taken inline and in known shapes only, unless an
//! operator lets a backend fetch them.

mod media;
mod members;
mod names;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::Refusal;
use crate::limits::{NoWholeNumber, choices_of, max_tokens_of};
use members::{is_plain, read, refuse_twice};
use names::{IN_MESSAGES, IN_STREAM_OPTIONS, OF_REQUESTS, check_names};

pub use names::{OVERRULING_FIELDS, SPENDING_FIELDS};

/// Answers per request; OpenAI's own limit.
pub const MAX_CHOICES: u64 = 128;

/// Texts at which an answer may be told to stop; OpenAI takes four.
const MAX_STOPS: usize = 16;

/// The longest of them, in bytes. A backend holds back as much of the answer, to see whether the text comes.
const MAX_STOP_BYTES: usize = 1024;

/// A request that could not be served as it was paid. The text names what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct RequestFault {
    /// The field, as a path such as `messages[0].content[1]`; `None` if it is the whole.
    pub param: Option<String>,
    /// A short code: `invalid_json`, `invalid_type`, `invalid_value` or `ambiguous_parameter`.
    pub code: &'static str,
    /// What is wrong and what to write.
    pub problem: String,
}

impl RequestFault {
    fn new(param: impl Into<String>, code: &'static str, problem: impl Into<String>) -> Self {
        Self { param: Some(param.into()), code, problem: problem.into() }
    }

    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        // The error's own text may quote the request.
        let problem =
            format!("the request can't be read at line {}, column {}", error.line(), error.column());
        Self { param: None, code: "invalid_json", problem }
    }

    /// What is no Unicode.
    pub(crate) fn not_text() -> Self {
        Self { param: None, code: "invalid_json", problem: "the request is not UTF-8 text".into() }
    }

    /// A limit whose answers together are more than can be counted.
    pub(crate) fn beyond_counting() -> Self {
        Self::new("max_tokens", "invalid_value", "the request costs more than any amount")
    }

    /// The same as an error for the app: status 400.
    pub fn into_refusal(self) -> Refusal {
        Refusal { param: self.param, code: Some(self.code.into()), ..Refusal::of_request(self.problem) }
    }
}

/// What a chat request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// How many answers: `n`, at least 1 and at most [`MAX_CHOICES`].
    pub(crate) choices: u64,
    /// The request's own limit on each of them, in tokens.
    pub(crate) max_tokens: Option<u64>,
    /// The first part or tool for which a backend would have to fetch something, or that nobody knows; only a backend
    /// whose operator allows it is given such a request.
    pub(crate) foreign_media: Option<RequestFault>,
}

impl Asked {
    /// Reads a chat request.
    ///
    /// # Errors
    /// [`RequestFault`] for what two readers could understand differently, and for numbers that are none.
    pub(crate) fn read(request: &RawValue) -> Result<Self, RequestFault> {
        let fields = read(request)?;
        check_names(&fields, "", &OF_REQUESTS)?;
        if let Some(options) = fields.get("stream_options").filter(|options| options.get().starts_with('{')) {
            check_names(&read(options)?, "stream_options.", &IN_STREAM_OPTIONS)?;
        }
        if let Some(stop) = fields.get("stop") {
            check_stop(&value(stop)?)?;
        }
        let mut foreign_media = None;
        if let Some(messages) = fields.get("messages") {
            foreign_media = check_messages(messages)?;
        }
        if let Some(tools) = fields.get("tools") {
            foreign_media = foreign_media.or(media::foreign_tool(&value(tools)?));
        }
        let mut numbers = serde_json::Map::new();
        for name in ["n", "max_tokens", "max_completion_tokens"] {
            if let Some(number) = fields.get(name) {
                numbers.insert(name.to_owned(), value(number)?);
            }
        }
        let numbers = Value::Object(numbers);
        let max_tokens = max_tokens_of(&numbers).map_err(|error| limit_fault(&error))?;
        let choices = choices_of(&numbers).filter(|choices| (1..=MAX_CHOICES).contains(choices));
        let choices = choices.ok_or_else(|| {
            RequestFault::new("n", "invalid_value", format!("n is a whole number from 1 to {MAX_CHOICES}"))
        })?;
        Ok(Self { choices, max_tokens, foreign_media })
    }
}

fn limit_fault(NoWholeNumber(field): &NoWholeNumber) -> RequestFault {
    RequestFault::new(*field, "invalid_type", format!("{field} is not a whole number of tokens"))
}

/// Refuses texts to stop at that are too many or too long.
fn check_stop(stop: &Value) -> Result<(), RequestFault> {
    let fits = |text: &Value| text.as_str().is_some_and(|text| text.len() <= MAX_STOP_BYTES);
    let is_fine = match stop {
        Value::Null => true,
        Value::Array(texts) => texts.len() <= MAX_STOPS && texts.iter().all(fits),
        text => fits(text),
    };
    if is_fine {
        return Ok(());
    }
    let problem =
        format!("stop is a text or up to {MAX_STOPS} texts, each of at most {MAX_STOP_BYTES} bytes");
    Err(RequestFault::new("stop", "invalid_value", problem))
}

fn value(raw: &RawValue) -> Result<Value, RequestFault> {
    serde_json::from_str(raw.get()).map_err(|error| RequestFault::unreadable(&error))
}

/// Checks the messages' names and shapes; returns the first thing that a backend would have to fetch.
fn check_messages(messages: &RawValue) -> Result<Option<RequestFault>, RequestFault> {
    let messages: Vec<&RawValue> = serde_json::from_str(messages.get())
        .map_err(|_| RequestFault::new("messages", "invalid_type", "messages is an array of messages"))?;
    let mut foreign = None;
    for (index, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        if !message.get().starts_with('{') {
            return Err(RequestFault::new(at, "invalid_type", "a message is an object"));
        }
        let fields = read(message)?;
        check_names(&fields, &format!("{at}."), &IN_MESSAGES)?;
        if let Some(content) = fields.get("content") {
            check_parts(content, &format!("{at}.content"))?;
        }
        // Texts are most of all messages and hold nothing to be fetched.
        if foreign.is_none() && !is_plain(&fields) {
            foreign = media::foreign_in_message(&value(message)?, &at);
        }
    }
    Ok(foreign)
}

/// A part with a field twice could be read in two ways as well.
fn check_parts(content: &RawValue, at: &str) -> Result<(), RequestFault> {
    if !content.get().starts_with('[') {
        return Ok(());
    }
    let parts: Vec<&RawValue> =
        serde_json::from_str(content.get()).map_err(|error| RequestFault::unreadable(&error))?;
    for (index, part) in parts.into_iter().enumerate() {
        check_objects(part, &format!("{at}[{index}]"))?;
    }
    Ok(())
}

/// Refuses fields that are given twice, also in the objects inside.
fn check_objects(value: &RawValue, at: &str) -> Result<(), RequestFault> {
    if !value.get().starts_with('{') {
        return Ok(());
    }
    let fields = read(value)?;
    refuse_twice(&fields, &format!("{at}."))?;
    fields.iter().try_for_each(|(name, inner)| check_objects(inner, &format!("{at}.{name}")))
}

#[cfg(test)]
mod tests;
