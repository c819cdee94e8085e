//! The shape of every error.

use serde::Serialize;

/// `{"error":{…}}`, with all four keys always there.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody<'a> {
    /// The error.
    pub(crate) error: ErrorDetail<'a>,
}

/// What went wrong.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorDetail<'a> {
    /// For people; never empty.
    pub(crate) message: &'a str,
    /// The class of error.
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    /// Which parameter of the request is wrong.
    pub(crate) param: Option<&'a str>,
    /// For programs.
    pub(crate) code: Option<&'a str>,
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// For people.
    pub(crate) message: String,
    /// Which parameter, if one is to blame.
    pub(crate) param: Option<String>,
    /// For programs.
    pub(crate) code: &'static str,
}

impl Rejection {
    /// A required parameter is absent.
    pub(crate) fn missing(param: &str, expected: &str) -> Self {
        Self {
            message: format!("missing required parameter: {param} (expected {expected})"),
            param: Some(param.into()),
            code: "missing_required_parameter",
        }
    }

    /// A parameter has the wrong type.
    pub(crate) fn wrong_type(param: &str, expected: &str) -> Self {
        Self {
            message: format!("invalid type for {param}: expected {expected}"),
            param: Some(param.into()),
            code: "invalid_type",
        }
    }

    /// A parameter has the right type and a value that can't be used.
    pub(crate) fn invalid_value(param: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            message: format!("invalid value for {param}: {reason}"),
            param: Some(param.into()),
            code: "invalid_value",
        }
    }

    /// The body is a JSON object with something in it that parsers refuse.
    pub(crate) fn unreadable(reason: impl std::fmt::Display) -> Self {
        Self::not_json(format!(
            "it is JSON, but with a number beyond a double, or more than 128 levels: {reason}"
        ))
    }

    /// The body can't be read as a JSON object.
    pub(crate) fn not_json(reason: impl std::fmt::Display) -> Self {
        Self {
            message: format!("the request body can't be read as a JSON object: {reason}"),
            param: None,
            code: "invalid_json",
        }
    }
}
