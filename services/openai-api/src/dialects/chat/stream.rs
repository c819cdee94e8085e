//! An answer as `chat.completion.chunk` events: passed on as the backend made them, or cut out of a whole answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use t4t_api::job_dispatcher::BuyingProgress;
use t4t_inference::Chunk;
use t4t_json::{Change, Edit, JsonText, Members, Splice, quoted};
use t4t_types::{RequestId, TokenUsage};

use super::answer::Answer;
use super::repair::Judging;
use super::transcript::Transcript;
use crate::dialects::dialect::Events;
use crate::dialects::events::{DONE, event_of};
use crate::unusable::UnusableAnswer;

/// Fields of a delta that call tools.
const CALLS: [&str; 2] = ["tool_calls", "function_call"];

/// One stream.
pub(super) struct ChatEvents {
    transcript: Transcript,
    request: RequestId,
    judging: Option<Judging>,
    /// The answer, where it came whole.
    answer: Option<Answer>,
    /// The choices that came in chunks, and whether each has an end.
    ended: BTreeMap<u64, bool>,
    /// Whether the backend told the usage itself.
    told_usage: bool,
}

#[derive(Deserialize)]
struct WireChunk<'a> {
    #[serde(borrow, default)]
    choices: Vec<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    finish_reason: Option<String>,
}

impl ChatEvents {
    pub(super) fn new(transcript: Transcript, request: RequestId, judging: Judging) -> Self {
        let (judging, ended) = (Some(judging), BTreeMap::new());
        Self { transcript, request, judging, answer: None, ended, told_usage: false }
    }

    /// A chunk under this stream's name: whose it was at the backend is nobody's business.
    fn renamed(&self, json: JsonText) -> Result<JsonText, UnusableAnswer> {
        let head = self.transcript.head();
        let mut edit = Edit::read(json).map_err(|error| UnusableAnswer::of_scan(&error))?;
        edit.set("id", quoted(&head.id));
        edit.set("object", r#""chat.completion.chunk""#);
        edit.set("created", head.created.get().to_string());
        edit.set("model", quoted(head.model.as_str()));
        match edit.get("usage") {
            Some(_) if !head.include_usage => edit.remove("usage"),
            None if head.include_usage => edit.set("usage", "null"),
            _ => {}
        }
        Ok(edit.finish())
    }

    /// Looks at the choices of a chunk; returns what has to stand in their places. Calls that nobody asked for reach no
    /// app.
    fn look_at<'a>(
        &mut self,
        choices: &[&'a RawValue],
        splice: &mut Splice<'a>,
    ) -> Result<(), UnusableAnswer> {
        let has_tools = self.judging.as_ref().is_some_and(|judging| judging.has_tools);
        for raw in choices {
            let choice: WireChoice<'_> = serde_json::from_str(raw.get())?;
            let ended = self.ended.entry(choice.index).or_default();
            *ended |= choice.finish_reason.is_some();
            let Some(delta) = choice.delta.filter(|_| !has_tools) else { continue };
            let members = Members::read(delta.get())?;
            if CALLS.iter().any(|name| members.get(name).is_some()) {
                let calls = |name: &str, _: &RawValue| {
                    if CALLS.contains(&name) { Change::Drop } else { Change::Keep }
                };
                splice.replace(delta.get(), members.rewritten(calls, []));
            }
        }
        Ok(())
    }
}

impl Events for ChatEvents {
    fn opening(&self) -> Bytes {
        self.transcript.opening()
    }

    fn progress(&mut self, step: &BuyingProgress) -> Option<Bytes> {
        self.transcript.progress(step)
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<Bytes, UnusableAnswer> {
        let text = chunk.json.as_str();
        let wire: WireChunk<'_> = serde_json::from_str(text)?;
        let mut splice = Splice::of(text);
        self.look_at(&wire.choices, &mut splice)?;
        let has_usage = wire.usage.is_some_and(|usage| usage.get() != "null");
        if wire.choices.is_empty() && !(has_usage && self.transcript.head().include_usage) {
            return Ok(Bytes::new());
        }
        self.told_usage |= has_usage;
        let json = if splice.is_empty() {
            chunk.json.clone()
        } else {
            JsonText::from(RawValue::from_string(splice.apply().into_owned())?)
        };
        let mut bytes = self.transcript.lead_to_chunks().unwrap_or_default();
        bytes.extend(event_of(self.renamed(json)?.as_str()));
        Ok(bytes.into())
    }

    fn take(&mut self, whole: &JsonText) -> Result<(), UnusableAnswer> {
        if let Some(judging) = self.judging.take() {
            let repaired = judging.repaired(self.request, whole.as_str())?;
            self.answer = Some(Answer::parse(&repaired)?);
        }
        Ok(())
    }

    fn rest(&mut self, usage: TokenUsage) -> Box<dyn Iterator<Item = Vec<u8>> + Send + '_> {
        if let Some(answer) = &mut self.answer {
            return Box::new(self.transcript.answer(answer));
        }
        let head = self.transcript.head();
        // A stream that ends without a reason breaks apps.
        let open = self.ended.iter().filter(|(_, has_ended)| !**has_ended);
        let ends = open.map(|(index, _)| head.finished(*index, "stop"));
        let TokenUsage { prompt, completion } = usage;
        let counts = json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt.saturating_add(completion),
        });
        let counts = RawValue::from_string(counts.to_string()).ok().filter(|_| !self.told_usage);
        let counts = counts.map(|counts| head.usage(&counts));
        Box::new(ends.chain(counts).chain([DONE.to_vec()]))
    }
}
