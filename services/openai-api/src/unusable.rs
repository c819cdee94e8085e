//! Why an answer that was bought can't be given to its app.

use serde_json::error::Category;
use t4t_json::ScanError;

/// The answer can't be read as a chat completion.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableAnswer {
    /// It has the wrong shape.
    #[error("the provider's answer is not a chat completion ({what} at line {line}, column {column})")]
    Malformed {
        /// What kind of fault it is. A parser's own words would quote the answer.
        what: &'static str,
        /// The line of the piece that was read, from 1.
        line: usize,
        /// The column in it.
        column: usize,
    },
    /// It has no choice.
    #[error("the provider's answer has no choices")]
    Empty,
    /// It has tool calls and nothing else, and the request had no tools.
    #[error("the provider's answer calls tools that the request does not have")]
    UnaskedCalls,
}

impl From<serde_json::Error> for UnusableAnswer {
    fn from(error: serde_json::Error) -> Self {
        let what = match error.classify() {
            Category::Data => "a value of the wrong type",
            Category::Syntax => "no JSON",
            Category::Eof | Category::Io => "no end",
        };
        Self::Malformed { what, line: error.line(), column: error.column() }
    }
}

impl UnusableAnswer {
    /// What a scan could not read.
    pub(crate) fn of_scan(error: &ScanError) -> Self {
        Self::Malformed { what: error.problem, line: error.line, column: error.column }
    }
}
