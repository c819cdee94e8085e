//! An object's members in their order, each value in the text it came in.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of one JSON object: only their names are read. A name may be there twice.
#[derive(Clone, Debug)]
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

/// What becomes of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays.
    Keep,
    /// It has another value: JSON.
    Replace(String),
    /// It is left out.
    Drop,
}

impl<'a> Members<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// It is none. The error's text may quote it.
    pub fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The last member of this name, as most readers have it; `null` is as good as absent.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(own, _)| own == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The object written anew: each member as `changed` says, and `added` behind them.
    pub fn rewritten<'b>(
        &self,
        mut changed: impl FnMut(&str, &'a RawValue) -> Change,
        added: impl IntoIterator<Item = (&'b str, String)>,
    ) -> String {
        let length: usize = self.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        let mut write = |name: &str, value: &str| {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(name).to_string());
            text.push(':');
            text.push_str(value);
        };
        for (name, value) in self.iter() {
            match changed(name, value) {
                Change::Keep => write(name, value.get()),
                Change::Replace(with) => write(name, &with),
                Change::Drop => {}
            }
        }
        for (name, value) in added {
            write(name, &value);
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_written_anew_in_its_order() {
        let members = Members::read(r#"{"b":1.50,"drop":2,"a\"":[ 1 ],"old":3}"#).unwrap();
        let change = |name: &str, _: &RawValue| match name {
            "drop" => Change::Drop,
            "old" => Change::Replace("4".into()),
            _ => Change::Keep,
        };
        let text = members.rewritten(change, [("new", r#""x""#.to_owned())]);
        assert_eq!(text, r#"{"b":1.50,"a\"":[ 1 ],"old":4,"new":"x"}"#);
        assert!(Members::read("[]").is_err());
    }

    #[test]
    fn of_a_repeated_name_the_last_counts_and_null_is_as_good_as_absent() {
        let members = Members::read(r#"{"a":1,"\u0061":2,"n":null}"#).unwrap();
        assert_eq!(members.get("a").map(RawValue::get), Some("2"));
        assert!(members.get("n").is_none() && members.get("x").is_none());
        assert_eq!(members.iter().count(), 3);
    }
}
