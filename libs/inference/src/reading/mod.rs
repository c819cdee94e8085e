//! One pass over a request: all that routing, sizing and billing go by, and what the edge judges its types by.
//!
//! Backends written in Go read `Model` and `MAX_TOKENS` as `model` and `max_tokens`, and of a field that is given
//! twice some take the first and some the last. A request that could be read in two ways is refused, by the gateway
//! before it is paid and by the runner before it is served. Media are taken inline and in known shapes only, unless an
//! operator lets a backend fetch them.

mod fields;
mod found;
mod message;
mod names;
mod part;
mod path;
mod tools;
mod value;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use t4t_json::{Edit, Extent, JsonKind, JsonText, Layout, Scan};

use crate::fault::RequestFault;
use crate::limits::MAX_REQUEST_VALUES;
use crate::names::{OF_REQUESTS, check_spelling};
use crate::numbers::Numbers;
use crate::size::PromptSize;
use found::Found;
pub use found::{MessageShape, Role};

/// A request that was read, before it is judged.
#[derive(Debug)]
pub struct Reading {
    json: JsonText,
    layout: Arc<Layout>,
    extent: Extent,
    found: Found,
}

/// What is judged of a request.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) json: JsonText,
    pub(crate) extent: Extent,
    pub(crate) layout: Arc<Layout>,
    pub(crate) choices: u64,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) foreign_media: Option<RequestFault>,
    pub(crate) prompt: PromptSize,
}

impl Reading {
    /// Reads a request in one pass.
    ///
    /// # Errors
    /// [`RequestFault`] for what is no JSON object, or one that not everybody could read.
    pub fn of(bytes: Bytes) -> Result<Self, RequestFault> {
        let json = JsonText::read_before(bytes).map_err(|_| RequestFault::not_text())?;
        let mut found = Found::default();
        let scanned =
            Scan::whole(json.as_str(), |scan| Layout::scan(scan, |scan, name| found.field(scan, name)));
        let (layout, extent) = scanned.map_err(|error| RequestFault::unreadable(&error))?;
        Ok(Self { json, layout: Arc::new(layout), extent, found })
    }

    /// The request's text.
    pub fn text(&self) -> &str {
        self.json.as_str()
    }

    /// Where its members lie in it.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The request as it is to be changed.
    pub fn edit(&self) -> Edit {
        Edit::of(self.json.clone(), Arc::clone(&self.layout))
    }

    /// The shapes of its messages; none if `messages` is not an array.
    pub fn messages(&self) -> &[MessageShape] {
        &self.found.messages
    }

    /// The ids of the tool calls in earlier answers.
    pub fn call_ids(&self) -> &HashSet<String> {
        &self.found.call_ids
    }

    /// Whether it has tools that may be called.
    pub fn has_tools(&self) -> bool {
        let has = |name| self.layout.get(name).is_some_and(|member| !member.items.is_empty());
        has("tools") || has("functions")
    }

    pub(crate) fn prompt(&self) -> PromptSize {
        self.found.tally.size(self.text().len())
    }

    /// Refuses what could be read in two ways, and numbers that are none.
    pub(crate) fn judge(mut self) -> Result<Judged, RequestFault> {
        let text = self.json.as_str();
        if self.extent.values > MAX_REQUEST_VALUES {
            return Err(RequestFault::too_many_values());
        }
        if let Some(name) = self.layout.repeated() {
            return Err(RequestFault::twice(name));
        }
        self.layout.members().iter().try_for_each(|member| check_spelling(&member.name, "", &OF_REQUESTS))?;
        let messages = self.layout.get("messages").map(|messages| messages.kind);
        let no_messages = match messages {
            None | Some(JsonKind::Null | JsonKind::Array) => None,
            Some(_) => {
                Some(RequestFault::new("messages", "invalid_type", "messages is an array of messages"))
            }
        };
        let found = &mut self.found;
        let faults = [
            found.stream_options_fault.take(),
            found.stop_fault.take(),
            no_messages,
            found.messages_fault.take(),
        ];
        if let Some(fault) = faults.into_iter().flatten().next() {
            return Err(fault);
        }
        let numbers = Numbers(text, &self.layout);
        let (max_tokens, choices) = (numbers.max_tokens()?, numbers.choices()?);
        let foreign_media = self.found.foreign_message.take().or(self.found.foreign_tool.take());
        let prompt = self.prompt();
        let Self { json, layout, extent, .. } = self;
        Ok(Judged { json, extent, layout, choices, max_tokens, foreign_media, prompt })
    }
}

#[cfg(test)]
pub(crate) fn bytes_in(json: &str) -> u64 {
    Scan::whole(json, |scan| value::weigh(scan, value::Care::Length, None)).unwrap().0.bytes
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
