//! One fragment of a tool call, read where it stands.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::Value;
use t4t_json::Sound;

use crate::answer::lenient::{Found, FromFields, Lenient, Others, value};

/// What a delta brings of its tool calls. Some write a single one without the list.
#[derive(Debug, Default)]
pub(crate) struct Fragments<'a>(pub(crate) Vec<Fragment<'a>>);

impl<'de> Lenient<'de> for Fragments<'de> {
    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::from_list(list).map(Self)
    }

    fn from_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Ok(Self(vec![Fragment::from_fields(object)?]))
    }
}

/// A fragment of a tool call, or a whole one.
#[derive(Debug, Default)]
pub(crate) struct Fragment<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) function: Option<FunctionPart<'a>>,
    /// Some write name and arguments beside the function, or instead of it.
    pub(super) beside: FunctionPart<'a>,
}

impl Fragment<'_> {
    /// The function's name in it, empty if it has none.
    pub(super) fn name(&self) -> &str {
        let name = match &self.function {
            Some(function) if !function.name.is_nothing() => &function.name,
            _ => &self.beside.name,
        };
        name.as_str().unwrap_or_default()
    }
}

impl<'de> FromFields<'de> for Fragment<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, fields: &mut A) -> Result<(), A::Error> {
        match &*name {
            "index" => {
                self.index = match value(fields)? {
                    Found::Text(text) => text.parse().ok(),
                    other => other.as_u64(),
                }
            }
            "id" => {
                self.id = match value(fields)? {
                    Found::Text(id) if !id.trim().is_empty() => Some(id),
                    Found::Other(Value::Number(id)) => Some(id.to_string().into()),
                    _ => None,
                }
            }
            "function" => self.function = value(fields)?,
            _ => self.beside.take(name, fields)?,
        }
        Ok(())
    }
}

/// A piece of the function that is called.
#[derive(Debug, Default)]
pub(crate) struct FunctionPart<'a> {
    pub(crate) name: Found<'a>,
    pub(crate) arguments: Found<'a>,
    pub(super) others: Others<'a>,
}

impl<'de> FromFields<'de> for FunctionPart<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, fields: &mut A) -> Result<(), A::Error> {
        match &*name {
            "name" => self.name = value(fields)?,
            "arguments" => self.arguments = value(fields)?,
            // These are the call's own, wherever they stand.
            "index" | "id" | "type" | "function" => {
                let Sound = fields.next_value()?;
            }
            _ => self.others.take(name, fields)?,
        }
        Ok(())
    }
}
