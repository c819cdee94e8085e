//! Where in a request something stands, as a path that is only written where it is told.

use std::fmt;

/// A step on the way to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'p> {
    /// A field of the request.
    Field(&'p str),
    /// A field of what stands there.
    Of(&'p At<'p>, &'p str),
    /// An item of it.
    Item(&'p At<'p>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Of(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
