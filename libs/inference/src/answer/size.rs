//! What a delta adds, for whoever counts.

/// What one choice's delta adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeltaSize {
    /// Bytes of its texts and arguments.
    pub bytes: u64,
    /// Characters of the same.
    pub chars: u64,
    /// Whether it began a choice.
    pub new_choice: bool,
    /// Tool calls it began.
    pub new_tool_calls: u64,
}

impl DeltaSize {
    /// Adds a text.
    pub(crate) fn add(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        self.chars += text.chars().count() as u64;
    }
}
