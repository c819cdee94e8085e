//! What JSON values are.

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum JsonKind {
    /// `null`.
    Null = 1,
    /// `true` or `false`.
    Bool = 2,
    /// A number.
    Number = 4,
    /// A text.
    Text = 8,
    /// An array.
    Array = 16,
    /// An object.
    Object = 32,
}

impl JsonKind {
    /// The kind of a value that is known to be JSON, by its first byte.
    pub fn of(json: &str) -> Self {
        json.bytes().next().and_then(Self::from_first).unwrap_or(Self::Null)
    }

    pub(crate) fn from_first(byte: u8) -> Option<Self> {
        Some(match byte {
            b'"' => Self::Text,
            b'{' => Self::Object,
            b'[' => Self::Array,
            b'n' => Self::Null,
            b't' | b'f' => Self::Bool,
            b'-' | b'0'..=b'9' => Self::Number,
            _ => return None,
        })
    }
}

/// Some kinds of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonKinds(u8);

impl JsonKinds {
    /// Adds one.
    pub fn add(&mut self, kind: JsonKind) {
        self.0 |= kind as u8;
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether there is no other than this.
    pub fn are_all(self, kind: JsonKind) -> bool {
        self.0 & !(kind as u8) == 0
    }
}
