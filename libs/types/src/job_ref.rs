//! The name under which a job is worked on, whatever pays for it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name under which a job is worked on: unique among a provider's jobs, and the same after a restart. Only whoever
/// made it knows how it is paid; for everybody else it is a word for the log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobRef(Arc<str>);

/// A text that names no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job's name has 1 to {max} letters, digits, colons and hyphens", max = JobRef::MAX_BYTES)]
pub struct ParseJobRefError;

impl JobRef {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobRef {
    type Err = ParseJobRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-');
        let is_name = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        if is_name { Ok(Self(text.into())) } else { Err(ParseJobRefError) }
    }
}

impl TryFrom<String> for JobRef {
    type Error = ParseJobRefError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JobRef> for String {
    fn from(job: JobRef) -> Self {
        job.as_str().to_owned()
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_has_nothing_that_a_log_could_trip_over() {
        let job: JobRef = "escrow:0x00-1".parse().unwrap();
        assert_eq!(serde_json::to_string(&job).unwrap(), r#""escrow:0x00-1""#);
        assert_eq!(serde_json::from_str::<JobRef>(r#""escrow:0x00-1""#).unwrap(), job);
        for wrong in ["", "a b", "a\n", "\u{e4}", &"x".repeat(129)] {
            assert!(wrong.parse::<JobRef>().is_err(), "{wrong}");
        }
    }
}
