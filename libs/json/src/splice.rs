//! Changes in a JSON text that leave everything else as it came.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

/// Pieces of a text and what stands in their places afterwards.
#[derive(Debug)]
pub struct Splice<'a> {
    text: &'a str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Splice<'a> {
    /// No change yet.
    pub fn of(text: &'a str) -> Self {
        Self { text, changes: Vec::new() }
    }

    /// Puts something in the place of a piece of the text; no two pieces may overlap.
    pub fn replace(&mut self, piece: &str, with: impl Into<String>) {
        let start = piece.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        // What lies elsewhere is no piece of it.
        let range =
            start.map(|start| start..start + piece.len()).filter(|range| range.end <= self.text.len());
        self.changes.extend(range.map(|range| (range, with.into())));
    }

    /// The text with all changes.
    pub fn apply(self) -> Cow<'a, str> {
        if self.changes.is_empty() {
            return Cow::Borrowed(self.text);
        }
        let mut changed = String::with_capacity(self.text.len());
        self.write(&mut changed);
        Cow::Owned(changed)
    }

    /// Writes the text with all changes behind what stands in `out`.
    pub fn write(mut self, out: &mut String) {
        self.changes.sort_by_key(|(range, _)| range.start);
        let mut done = 0;
        for (range, with) in self.changes {
            out.push_str(&self.text[done..range.start]);
            out.push_str(&with);
            done = range.end;
        }
        out.push_str(&self.text[done..]);
    }
}

/// A text as JSON.
pub fn quoted(text: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

#[cfg(test)]
mod tests {
    use crate::Members;

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
}
