//! An object's members, all of them and in their order, each value in the text it came in.

use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::RequestFault;

/// The members of one object; a name may be there twice.
#[derive(Debug)]
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object.
    pub(super) fn read(object: &'a RawValue) -> Result<Self, RequestFault> {
        serde_json::from_str(object.get()).map_err(|error| RequestFault::unreadable(&error))
    }

    pub(super) fn get(&self, field: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| *value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Whether it is a message with a role and a text, and no more.
    pub(super) fn is_plain(&self) -> bool {
        self.iter().all(|(name, value)| matches!(name, "role" | "content") && value.get().starts_with('"'))
    }

    /// Refuses a name that is there twice.
    pub(super) fn refuse_twice(&self, at: &str) -> Result<(), RequestFault> {
        let mut seen = HashSet::with_capacity(self.0.len());
        match self.0.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let problem = format!("{at}{name} is given twice: write it once");
                Err(RequestFault::new(format!("{at}{name}"), "ambiguous_parameter", problem))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = entries.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reading).map(Self)
    }
}
