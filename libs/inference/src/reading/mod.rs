//! One pass over a request: all that routing, sizing and billing go by, and what the edge judges its types by.
//!
//! Backends written in Go read `Model` and `MAX_TOKENS` as `model` and `max_tokens`, and of a field that is given
//! twice some take the first and some the last. A request that could be read in two ways is refused, by the gateway
//! before it is paid and by the runner before it is served. Media are taken inline and in known shapes only, unless an
//! operator lets a backend fetch them.

mod message;
mod names;
mod part;
mod path;
mod tools;
mod value;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use t4t_json::{Edit, Extent, JsonKind, JsonKinds, JsonText, Layout, Scan, ScanError};

use crate::fault::RequestFault;
use crate::limits::{MAX_REQUEST_VALUES, Numbers};
use crate::names::{IN_STREAM_OPTIONS, OF_REQUESTS, check_spelling};
use crate::size::{PromptSize, Tally};
use tools::Read;
use value::{Care, bytes_of_field, weigh};

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One of [`Role::NAMES`].
    Known(&'static str),
    /// A name that nobody knows.
    Unknown,
    /// Not even a text.
    NoText,
}

impl Role {
    /// Who may speak.
    pub const NAMES: [&'static str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

    fn of(name: &str) -> Self {
        Self::NAMES.into_iter().find(|known| *known == name).map_or(Self::Unknown, Self::Known)
    }
}

/// The shape of a message: the kinds of what stands in it.
#[derive(Clone, Debug)]
pub struct MessageShape {
    /// Where it lies in the request's text.
    pub span: Range<usize>,
    /// What it is.
    pub kind: JsonKind,
    /// Who speaks, if it says so.
    pub role: Option<Role>,
    /// What its content is, if it has one.
    pub content: Option<JsonKind>,
    /// The first part of the content that is neither a text nor an object.
    pub odd_part: Option<usize>,
    /// Whether its tool calls are something else than objects in an array.
    pub has_odd_calls: bool,
}

impl MessageShape {
    fn of(kind: JsonKind) -> Self {
        Self { span: 0..0, kind, role: None, content: None, odd_part: None, has_odd_calls: false }
    }
}

/// What the pass finds on its way.
#[derive(Debug, Default)]
struct Found {
    tally: Tally,
    messages: Vec<MessageShape>,
    /// The ids of tool calls in earlier answers.
    call_ids: HashSet<String>,
    stream_options_fault: Option<RequestFault>,
    stop_fault: Option<RequestFault>,
    messages_fault: Option<RequestFault>,
    foreign_message: Option<RequestFault>,
    foreign_tool: Option<RequestFault>,
}

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

impl Found {
    /// Reads the value of one of the request's fields.
    fn field<'a>(&mut self, scan: &mut Scan<'a>, name: &Cow<'a, str>) -> Result<JsonKinds, ScanError> {
        let kind = scan.kind()?;
        let read = match (&**name, kind) {
            ("messages", JsonKind::Array) => {
                let mut items = JsonKinds::default();
                scan.array(|scan, index| {
                    items.add(scan.kind()?);
                    message::message(scan, index, self)
                })?;
                return Ok(items);
            }
            ("tools", _) => {
                let read = tools::tools(scan)?;
                self.foreign_tool = read.fault;
                Read { fault: None, ..read }
            }
            ("stop", _) => {
                let read = tools::stop(scan)?;
                self.stop_fault = read.fault;
                Read { fault: None, ..read }
            }
            ("stream_options", JsonKind::Object) => self.stream_options(scan)?,
            (_, JsonKind::Array) => items(scan)?,
            _ => Read { bytes: weigh(scan, Care::Length, None)?.bytes, ..Read::default() },
        };
        self.tally.elsewhere += bytes_of_field(name, read.bytes);
        Ok(read.items)
    }

    fn stream_options(&mut self, scan: &mut Scan<'_>) -> Result<Read, ScanError> {
        let (mut bytes, mut names, mut spelling, mut twice) = (2, names::Names::default(), None, None);
        scan.object(|scan, name, _| {
            if names.repeats(&name) {
                twice.get_or_insert_with(|| RequestFault::twice(format_args!("stream_options.{name}")));
            }
            if spelling.is_none() {
                spelling = check_spelling(&name, "stream_options.", &IN_STREAM_OPTIONS).err();
            }
            bytes += bytes_of_field(&name, weigh(scan, Care::Length, None)?.bytes);
            Ok(())
        })?;
        self.stream_options_fault = twice.or(spelling);
        Ok(Read { bytes, ..Read::default() })
    }
}

/// Reads an array whose items' kinds may be asked for.
fn items(scan: &mut Scan<'_>) -> Result<Read, ScanError> {
    let mut read = Read { bytes: 2, ..Read::default() };
    scan.array(|scan, _| {
        read.items.add(scan.kind()?);
        read.bytes += weigh(scan, Care::Length, None)?.bytes + 1;
        Ok(())
    })?;
    Ok(read)
}

#[cfg(test)]
pub(crate) fn bytes_in(json: &str) -> u64 {
    Scan::whole(json, |scan| weigh(scan, Care::Length, None)).unwrap().0.bytes
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
