//! What the pass over a request finds on its way.

use std::collections::HashSet;
use std::ops::Range;

use t4t_json::JsonKind;

use crate::fault::RequestFault;
use crate::size::Tally;

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

    pub(super) fn of(name: &str) -> Self {
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
    pub(super) fn of(kind: JsonKind) -> Self {
        Self { span: 0..0, kind, role: None, content: None, odd_part: None, has_odd_calls: false }
    }
}

/// What the pass finds on its way.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) tally: Tally,
    pub(super) messages: Vec<MessageShape>,
    /// The ids of tool calls in earlier answers.
    pub(super) call_ids: HashSet<String>,
    pub(super) stream_options_fault: Option<RequestFault>,
    pub(super) stop_fault: Option<RequestFault>,
    pub(super) messages_fault: Option<RequestFault>,
    pub(super) foreign_message: Option<RequestFault>,
    pub(super) foreign_tool: Option<RequestFault>,
}
