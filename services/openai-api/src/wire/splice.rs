//! Changes in a JSON text that leave everything else as it came.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Pieces of a text and what stands in their places afterwards.
#[derive(Debug)]
pub(crate) struct Splice<'a> {
    text: &'a str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Splice<'a> {
    /// No change yet.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, changes: Vec::new() }
    }

    /// Puts something in the place of a piece of the text; no two pieces may overlap.
    pub(crate) fn replace(&mut self, piece: &str, with: impl Into<String>) {
        let start = piece.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        // What lies elsewhere is no piece of it.
        let range =
            start.map(|start| start..start + piece.len()).filter(|range| range.end <= self.text.len());
        self.changes.extend(range.map(|range| (range, with.into())));
    }

    /// The text with all changes.
    pub(crate) fn apply(mut self) -> Cow<'a, str> {
        if self.changes.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.changes.sort_by_key(|(range, _)| range.start);
        let (mut changed, mut done) = (String::with_capacity(self.text.len()), 0);
        for (range, with) in self.changes {
            changed.push_str(&self.text[done..range.start]);
            changed.push_str(&with);
            done = range.end;
        }
        changed.push_str(&self.text[done..]);
        Cow::Owned(changed)
    }
}

/// An object's members in their order, values as they came.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object; `None` for anything else.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The last member of this name, as most readers have it; `null` is as good as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(own, _)| own == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// All members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The object written anew: each member as `changed` says, and `added` behind them.
    pub(crate) fn rewritten<'b>(
        &self,
        mut changed: impl FnMut(&str, &'a RawValue) -> Change,
        added: impl IntoIterator<Item = (&'b str, String)>,
    ) -> String {
        let mut text = String::from("{");
        let mut write = |name: &str, value: &str| {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&quoted(name));
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

/// What becomes of a member.
#[derive(Debug)]
pub(crate) enum Change {
    /// It stays.
    Keep,
    /// It has another value: JSON.
    Replace(String),
    /// It is left out.
    Drop,
}

/// A text as JSON.
pub(crate) fn quoted(text: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pieces_change() {
        let text = r#"{"a": 1,  "b":[2, 3]}"#;
        let members = Members::read(text).unwrap();
        let mut splice = Splice::of(text);
        splice.replace(members.get("b").unwrap().get(), "4");
        splice.replace(members.get("a").unwrap().get(), "null");
        splice.replace("elsewhere", "x");
        assert_eq!(splice.apply(), r#"{"a": null,  "b":4}"#);
        assert!(matches!(Splice::of(text).apply(), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn an_object_is_written_anew_in_its_order() {
        let members = Members::read(r#"{"b":1.50,"drop":2,"a\"":[ 1 ],"old":3}"#).unwrap();
        let change = |name: &str, _: &RawValue| match name {
            "drop" => Change::Drop,
            "old" => Change::Replace("4".into()),
            _ => Change::Keep,
        };
        let text = members.rewritten(change, [("new", quoted("x\"y"))]);
        assert_eq!(text, r#"{"b":1.50,"a\"":[ 1 ],"old":4,"new":"x\"y"}"#);
        assert!(Members::read("[]").is_none());
    }
}
