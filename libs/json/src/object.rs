//! Where an object's members lie in its text, and changes to them without writing the rest anew.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::kind::{JsonKind, JsonKinds};
use crate::scan::{Scan, ScanError};
use crate::splice::quoted;
use crate::text::JsonText;

/// One member: its name, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, read.
    pub name: Box<str>,
    /// Where its name begins, quote and all.
    pub start: usize,
    /// Where its value lies.
    pub value: Range<usize>,
    /// What the value is.
    pub kind: JsonKind,
    /// What its items are, if it is an array.
    pub items: JsonKinds,
}

/// Where the members of an object lie in its text, in their order. A name may be there twice: then the last one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Behind the bracket that opens the object.
    inside: usize,
    members: Vec<Member>,
}

impl Layout {
    /// Reads an object: `read` is given each name and reads the value, and returns the kinds of its items.
    ///
    /// # Errors
    /// It is none, or those of `read`.
    pub fn scan<'a>(
        scan: &mut Scan<'a>,
        mut read: impl FnMut(&mut Scan<'a>, &str) -> Result<JsonKinds, ScanError>,
    ) -> Result<Self, ScanError> {
        scan.kind()?;
        let mut layout = Self { inside: scan.position() + 1, members: Vec::new() };
        scan.object(|scan, name, start| {
            let kind = scan.kind()?;
            let (items, value) = scan.spanned(|scan| read(scan, &name))?;
            layout.members.push(Member { name: name.into(), start, value, kind, items });
            Ok(())
        })?;
        Ok(layout)
    }

    /// All members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The last member of this name.
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.members.iter().rev().find(|member| &*member.name == name)
    }

    /// The first name that is there twice.
    pub fn repeated(&self) -> Option<&str> {
        // Most objects have few members: looking back costs less than a set, up to some dozens.
        if self.members.len() > 64 {
            let mut seen = std::collections::HashSet::with_capacity(self.members.len());
            return self
                .members
                .iter()
                .find(|member| !seen.insert(&*member.name))
                .map(|member| &*member.name);
        }
        let is_repeated = |(at, member): &(usize, &Member)| {
            self.members[..*at].iter().any(|before| before.name == member.name)
        };
        self.members.iter().enumerate().find(is_repeated).map(|(_, member)| &*member.name)
    }
}

/// What becomes of a member.
#[derive(Clone, Debug)]
enum Fate {
    Stays,
    Goes,
    Becomes(String),
}

/// Changes to an object's members. All else stays letter for letter, and nothing is written before [`Self::finish`].
/// A clone shares the text.
#[derive(Clone, Debug)]
pub struct Edit {
    text: JsonText,
    layout: Arc<Layout>,
    fates: Vec<Fate>,
    added: Vec<(String, String)>,
}

impl Edit {
    /// Changes to an object whose layout is known. Of a repeated name only the last member is left.
    pub fn of(text: JsonText, layout: Arc<Layout>) -> Self {
        let mut fates = vec![Fate::Stays; layout.members.len()];
        if layout.repeated().is_some() {
            for (at, member) in layout.members.iter().enumerate() {
                if layout.members[at + 1..].iter().any(|later| later.name == member.name) {
                    fates[at] = Fate::Goes;
                }
            }
        }
        Self { text, layout, fates, added: Vec::new() }
    }

    /// Reads an object to be changed.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: JsonText) -> Result<Self, ScanError> {
        let no_items = |scan: &mut Scan<'_>| scan.skip().map(|()| JsonKinds::default());
        let (layout, _) = Scan::whole(text.as_str(), |scan| Layout::scan(scan, |scan, _| no_items(scan)))?;
        Ok(Self::of(text, Arc::new(layout)))
    }

    /// A member's value as it is now: JSON.
    pub fn get(&self, name: &str) -> Option<&str> {
        let added = self.added.iter().find(|(own, _)| own == name);
        if let Some((_, value)) = added {
            return Some(value);
        }
        let at = self.place(name)?;
        match &self.fates[at] {
            Fate::Stays => Some(&self.text.as_str()[self.layout.members[at].value.clone()]),
            Fate::Goes => None,
            Fate::Becomes(value) => Some(value),
        }
    }

    /// The names of what is left and what was added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let members = self.layout.members.iter().zip(&self.fates);
        let kept = members.filter(|(_, fate)| !matches!(fate, Fate::Goes)).map(|(member, _)| &*member.name);
        kept.chain(self.added.iter().map(|(name, _)| name.as_str()))
    }

    /// Leaves a member out.
    pub fn remove(&mut self, name: &str) {
        self.added.retain(|(own, _)| own != name);
        if let Some(at) = self.place(name) {
            self.fates[at] = Fate::Goes;
        }
    }

    /// Gives a member a value, which is JSON: where it stands, or behind all others if it is not there.
    pub fn set(&mut self, name: &str, json: impl Into<String>) {
        let json = json.into();
        if let Some((_, value)) = self.added.iter_mut().find(|(own, _)| own == name) {
            *value = json;
        } else if let Some(at) = self.place(name).filter(|at| !matches!(self.fates[*at], Fate::Goes)) {
            self.fates[at] = Fate::Becomes(json);
        } else {
            self.added.push((name.to_owned(), json));
        }
    }

    /// Whether it would be written as it came.
    pub fn is_unchanged(&self) -> bool {
        self.added.is_empty() && self.fates.iter().all(|fate| matches!(fate, Fate::Stays))
    }

    /// The object with all changes: the text itself if there are none, else one copy.
    pub fn finish(&self) -> JsonText {
        if self.is_unchanged() {
            return self.text.clone();
        }
        let mut out = String::with_capacity(self.most_bytes());
        self.write(&mut out);
        JsonText::read_before(Bytes::from(out)).expect("a string is text")
    }

    /// Writes the object with all changes behind what stands in `out`.
    pub fn write(&self, out: &mut String) {
        let text = self.text.as_str();
        let members = &self.layout.members;
        // What was copied so far, and whether a member is among it.
        let (mut done, mut has_member) = (0, false);
        for (at, (member, fate)) in members.iter().zip(&self.fates).enumerate() {
            match fate {
                Fate::Stays => has_member = true,
                Fate::Becomes(value) => {
                    out.push_str(&text[done..member.value.start]);
                    out.push_str(value);
                    (done, has_member) = (member.value.end, true);
                }
                // It goes with the comma before it, or behind it where it would be the first.
                Fate::Goes => {
                    let before =
                        at.checked_sub(1).filter(|_| has_member).map(|before| members[before].value.end);
                    out.push_str(&text[done..before.unwrap_or(member.start)]);
                    let next = members.get(at + 1).filter(|_| !has_member).map(|next| next.start);
                    done = next.unwrap_or(member.value.end);
                }
            }
        }
        if !self.added.is_empty() {
            let end = members.last().map_or(self.layout.inside, |last| last.value.end);
            out.push_str(&text[done..end]);
            done = end;
            for (name, value) in &self.added {
                if has_member {
                    out.push(',');
                }
                has_member = true;
                out.push_str(&quoted(name));
                out.push(':');
                out.push_str(value);
            }
        }
        out.push_str(&text[done..]);
    }

    /// The most bytes that it takes when it is written.
    pub fn most_bytes(&self) -> usize {
        let values = self.fates.iter().map(|fate| match fate {
            Fate::Becomes(value) => value.len(),
            Fate::Stays | Fate::Goes => 0,
        });
        // A comma, quotes and a colon.
        let added = self.added.iter().map(|(name, value)| 6 * name.len() + value.len() + 4);
        self.text.as_str().len() + values.chain(added).sum::<usize>()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.layout.members.iter().rposition(|member| &*member.name == name)
    }
}

#[cfg(test)]
mod tests;
