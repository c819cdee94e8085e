//! OpenAI's chat completions: `POST /v1/chat/completions`.

mod answer;
mod chunk;
mod fields;
mod messages;
mod progress;
mod repair;
mod request;
mod stream;
mod transcript;
mod usage;

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use serde_json::value::RawValue;
use t4t_json::JsonText;
use t4t_types::RequestId;

use super::dialect::{Answering, Asked, Begun, Dialect, Events};
use crate::config::ProgressMode;
use crate::unusable::UnusableAnswer;
use crate::wire::error::Rejection;
pub(super) use answer::Answer;
use chunk::ChunkHead;
use repair::Judging;
pub(super) use request::ChatRequest;
use stream::ChatEvents;
use transcript::Transcript;

/// The dialect.
pub(crate) struct Chat;

impl Dialect for Chat {
    fn read(&self, body: Bytes) -> Result<Asked, Rejection> {
        let asked = ChatRequest::read(body)?;
        let answering = ChatAnswering {
            include_usage: asked.include_usage,
            structured: asked.structured,
            judging: Judging { has_tools: asked.has_tools, call_ids: asked.call_ids },
        };
        let (model, stream, request) = (asked.model, asked.stream, asked.request);
        Ok(Asked { model, stream, request, answering: Box::new(answering) })
    }
}

struct ChatAnswering {
    include_usage: bool,
    structured: bool,
    judging: Judging,
}

impl Answering for ChatAnswering {
    fn whole(self: Box<Self>, begun: Begun, answer: JsonText) -> Result<JsonText, UnusableAnswer> {
        let repaired = self.judging.repaired(begun.id, answer.as_str())?;
        Answer::parse(&repaired)?;
        match repaired {
            Cow::Owned(repaired) => Ok(RawValue::from_string(repaired)?.into()),
            Cow::Borrowed(_) => Ok(answer),
        }
    }

    fn stream(self: Box<Self>, begun: Begun) -> Box<dyn Events> {
        let id = format!("chatcmpl-{}", &begun.id.to_string()[..32]);
        let head = ChunkHead { id, created: begun.at, model: begun.model, include_usage: self.include_usage };
        let mode = if self.structured { ProgressMode::Off } else { begun.progress };
        Box::new(ChatEvents::new(Transcript::new(head, mode), begun.id, self.judging))
    }
}

impl Chat {
    /// Reads the answer to a chat without tools, for dialects that are written over this one.
    pub(super) fn answer(request: RequestId, whole: &JsonText) -> Result<Answer, UnusableAnswer> {
        let judging = Judging { has_tools: false, call_ids: HashSet::new() };
        Answer::parse(&judging.repaired(request, whole.as_str())?)
    }
}

/// Any text as an answer.
pub(super) fn feed(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let judging = Judging { has_tools: false, call_ids: HashSet::new() };
    if let Ok(repaired) = judging.repaired(RequestId::new([0; 32]), text) {
        let _read = Answer::parse(&repaired);
    }
}
