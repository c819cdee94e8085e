//! What is wrong with a request.

use t4t_json::ScanError;

use crate::Refusal;
use crate::limits::MAX_REQUEST_VALUES;

/// A request that could not be served as it was paid. The text names what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct RequestFault {
    /// The field, as a path such as `messages[0].content[1]`; `None` if it is the whole.
    pub param: Option<String>,
    /// A short code: `invalid_json`, `invalid_type`, `invalid_value` or `ambiguous_parameter`.
    pub code: &'static str,
    /// What is wrong and what to write.
    pub problem: String,
}

impl RequestFault {
    pub(crate) fn new(param: impl Into<String>, code: &'static str, problem: impl Into<String>) -> Self {
        Self { param: Some(param.into()), code, problem: problem.into() }
    }

    pub(crate) fn unreadable(error: &ScanError) -> Self {
        let problem = format!("the request can't be read at line {}, column {}", error.line, error.column);
        Self { param: None, code: "invalid_json", problem }
    }

    /// What is no Unicode.
    pub(crate) fn not_text() -> Self {
        Self { param: None, code: "invalid_json", problem: "the request is not UTF-8 text".into() }
    }

    /// More values than anybody reads.
    pub(crate) fn too_many_values() -> Self {
        let problem = format!("a request has at most {MAX_REQUEST_VALUES} values: shorten its lists");
        Self { param: None, code: "invalid_value", problem }
    }

    /// A limit whose answers together are more than can be counted.
    pub(crate) fn beyond_counting() -> Self {
        Self::new("max_tokens", "invalid_value", "the request costs more than any amount")
    }

    /// A field that is given twice.
    pub(crate) fn twice(field: impl std::fmt::Display) -> Self {
        let problem = format!("{field} is given twice: write it once");
        Self::new(field.to_string(), "ambiguous_parameter", problem)
    }

    /// The same as an error for the app: status 400.
    pub fn into_refusal(self) -> Refusal {
        Refusal { param: self.param, code: Some(self.code.into()), ..Refusal::of_request(self.problem) }
    }
}
