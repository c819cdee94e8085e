//! The names of one object while it is read.

use std::borrow::Cow;
use std::collections::HashSet;

/// From so many names on a set finds one faster than looking at each.
const MANY: usize = 32;

/// The names of one object so far.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// Takes a name in; tells whether it was there before.
    pub(super) fn repeats(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.len() < MANY {
            let repeats = self.few.contains(&name);
            self.few.push(name);
            return repeats;
        }
        self.few.contains(&name) || !self.many.insert(name)
    }
}
