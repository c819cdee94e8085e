//! What one chunk says of one choice, read where it stands.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::{Map, Value};
use t4t_json::Sound;

use super::calls::{Fragment, Fragments, FunctionPart};
use super::fields::{MESSAGE_TEXTS, is_error};
use super::lenient::{Found, FromFields, Others, value};

/// One choice of a chunk or of an answer.
#[derive(Debug, Default)]
pub(super) struct ChoicePart<'a> {
    pub(super) index: Option<u64>,
    pub(super) delta: Option<Delta<'a>>,
    /// Whether it has a delta, even one that is none.
    pub(super) has_delta: bool,
    pub(super) message: Option<Delta<'a>>,
    /// What it says in the older form of a completion.
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) finish_reason: Option<Cow<'a, str>>,
    pub(super) is_error: bool,
    pub(super) logprobs: Option<Map<String, Value>>,
    pub(super) others: Others<'a>,
}

impl<'de> FromFields<'de> for ChoicePart<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, fields: &mut A) -> Result<(), A::Error> {
        match &*name {
            "index" => self.index = value::<Found<'_>, _>(fields)?.as_u64(),
            "delta" => (self.has_delta, self.delta) = (true, value(fields)?),
            "message" => self.message = value(fields)?,
            "text" => self.text = text(fields)?,
            "finish_reason" => self.finish_reason = text(fields)?,
            "error" => self.is_error = is_error(&value::<Found<'_>, _>(fields)?.into_value()),
            "logprobs" => self.logprobs = value::<Found<'_>, _>(fields)?.into_object(),
            _ => self.others.take(name, fields)?,
        }
        Ok(())
    }
}

/// A piece of a message, or a whole one. Its role is not read: what it answers is an assistant's, whatever it calls
/// itself.
#[derive(Debug, Default)]
pub(super) struct Delta<'a> {
    /// What stands in each of [`MESSAGE_TEXTS`].
    pub(super) texts: [Found<'a>; MESSAGE_TEXTS.len()],
    pub(super) tool_calls: Vec<Fragment<'a>>,
    pub(super) function_call: Option<FunctionPart<'a>>,
    pub(super) others: Others<'a>,
}

impl<'de> FromFields<'de> for Delta<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, fields: &mut A) -> Result<(), A::Error> {
        if let Some(at) = MESSAGE_TEXTS.iter().position(|known| *known == name) {
            self.texts[at] = value(fields)?;
            return Ok(());
        }
        match &*name {
            "role" => {
                let Sound = fields.next_value()?;
            }
            "tool_calls" => self.tool_calls = value::<Fragments<'_>, _>(fields)?.0,
            "function_call" => self.function_call = value(fields)?,
            _ => self.others.take(name, fields)?,
        }
        Ok(())
    }
}

fn text<'de, A: MapAccess<'de>>(fields: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    Ok(match value(fields)? {
        Found::Text(text) => Some(text),
        Found::Nothing | Found::Other(_) => None,
    })
}
