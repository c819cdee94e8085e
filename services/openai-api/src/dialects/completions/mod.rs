//! OpenAI's older text completions: `POST /v1/completions`, over the chat kind.
//!
//! The prompt goes out as one message of the user, and the answer's text comes back. A model reads it through its chat
//! template, so this is for apps that only know the older format, not for raw text to be continued: what a chat can't do
//! (`suffix`, `echo`, `best_of`, `logprobs`) is refused before it is paid.

mod text;

use bytes::Bytes;
use serde_json::value::RawValue;
use t4t_api::job_dispatcher::BuyingProgress;
use t4t_inference::Chunk;
use t4t_json::{JsonKind, JsonText};
use t4t_types::TokenUsage;

use super::chat::{Answer, Chat, ChatRequest};
use super::dialect::{Answering, Asked, Begun, Dialect, Events};
use super::{body, events};
use crate::unusable::UnusableAnswer;
use crate::wire::error::Rejection;
use text::{DEFAULT_MAX_TOKENS, TextHead};

/// What a chat can't do, and the value beside `null` that asks for nothing.
const NOT_SERVED: [(&str, &str); 4] =
    [("suffix", r#""""#), ("echo", "false"), ("best_of", "1"), ("logprobs", "0")];

/// The dialect.
pub(crate) struct Completions;

impl Dialect for Completions {
    fn read(&self, body: Bytes) -> Result<Asked, Rejection> {
        let asked = ChatRequest::read(as_chat(body)?)?;
        let answering = TextAnswering { include_usage: asked.include_usage };
        let (model, stream, request) = (asked.model, asked.stream, asked.request);
        Ok(Asked { model, stream, request, answering: Box::new(answering) })
    }
}

/// The chat that asks for the same.
fn as_chat(body: Bytes) -> Result<Bytes, Rejection> {
    let reading = body::read(body)?;
    if let Some(name) = reading.layout().repeated() {
        return Err(Rejection::not_json(format!("it has the field {name:?} twice")));
    }
    let mut edit = reading.edit();
    for (name, harmless) in NOT_SERVED {
        match edit.get(name) {
            Some(value) if value != "null" && value != harmless => {
                return Err(Rejection::invalid_value(
                    name,
                    "chat models, which this gateway sells, don't have it",
                ));
            }
            _ => edit.remove(name),
        }
    }
    if edit.get("messages").is_some() {
        return Err(Rejection::invalid_value(
            "messages",
            "this endpoint takes prompt; see POST /v1/chat/completions",
        ));
    }
    let prompt = prompt(edit.get("prompt"))?;
    edit.set("messages", format!(r#"[{{"role":"user","content":{prompt}}}]"#));
    edit.remove("prompt");
    if edit.get("max_tokens").is_none() {
        edit.set("max_tokens", DEFAULT_MAX_TOKENS);
    }
    Ok(edit.finish().bytes().clone())
}

/// The one text to be answered: JSON.
fn prompt(given: Option<&str>) -> Result<String, Rejection> {
    let expected = "a string, or an array of one string";
    let given =
        given.filter(|given| *given != "null").ok_or_else(|| Rejection::missing("prompt", expected))?;
    if JsonKind::of(given) == JsonKind::Text {
        return Ok(given.to_owned());
    }
    let prompts: Vec<&RawValue> =
        serde_json::from_str(given).map_err(|_| Rejection::wrong_type("prompt", expected))?;
    match prompts.as_slice() {
        [prompt] if JsonKind::of(prompt.get()) == JsonKind::Text => Ok(prompt.get().to_owned()),
        [first, _, ..] if JsonKind::of(first.get()) == JsonKind::Text => {
            Err(Rejection::invalid_value("prompt", "one prompt a request: send each in a request of its own"))
        }
        _ => Err(Rejection::wrong_type("prompt", expected)),
    }
}

struct TextAnswering {
    include_usage: bool,
}

impl Answering for TextAnswering {
    fn whole(self: Box<Self>, begun: Begun, answer: JsonText) -> Result<JsonText, UnusableAnswer> {
        let head = TextHead::new(&begun, false);
        Ok(RawValue::from_string(head.whole(&Chat::answer(begun.id, &answer)?))?.into())
    }

    fn stream(self: Box<Self>, begun: Begun) -> Box<dyn Events> {
        Box::new(TextEvents { head: TextHead::new(&begun, self.include_usage), begun, answer: None })
    }
}

/// One stream. It shows no progress: the format has no place for it beside the text.
struct TextEvents {
    head: TextHead,
    begun: Begun,
    answer: Option<Answer>,
}

impl Events for TextEvents {
    fn opening(&self) -> Bytes {
        events::KEEP_ALIVE
    }

    fn progress(&mut self, _: &BuyingProgress) -> Option<Bytes> {
        None
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<Bytes, UnusableAnswer> {
        self.head.chunk(chunk.json.as_str())
    }

    fn take(&mut self, whole: &JsonText) -> Result<(), UnusableAnswer> {
        self.answer = Some(Chat::answer(self.begun.id, whole)?);
        Ok(())
    }

    fn rest(&mut self, usage: TokenUsage) -> Box<dyn Iterator<Item = Vec<u8>> + Send + '_> {
        match &self.answer {
            Some(answer) => Box::new(self.head.pieces(answer)),
            None => Box::new(std::iter::once(self.head.end_of_chunks(usage))),
        }
    }
}
