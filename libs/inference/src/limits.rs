//! The bounds that requests and answers are held to, and the limits that a request states itself.

use serde_json::Value;

/// Largest request or answer of an app or backend that is carried, in bytes. The reference's gateway takes 10 MB.
pub const MAX_CONTENT_BYTES: usize = 16 * 1024 * 1024;

/// Most values in a request's JSON. Each takes a reader hundreds of bytes, however few it has itself; long chats with
/// many tools have some thousands.
pub const MAX_REQUEST_VALUES: usize = 50_000;

/// Most values in an answer's JSON, which log probabilities can make long.
pub const MAX_RESPONSE_VALUES: usize = 1_000_000;

/// A limit that is not a whole number, by its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoWholeNumber(pub(crate) &'static str);

/// The request's own limit on the answer, in tokens: `max_tokens`, else `max_completion_tokens`. Zero, a negative
/// number and null are no limit.
///
/// The reference knows `max_tokens` alone. A gateway that honours the newer name pays less into escrow; a provider that
/// does so answers no more than it was asked for.
///
/// # Errors
/// [`NoWholeNumber`] for a fraction, or for what is no number.
pub(crate) fn max_tokens_of(request: &Value) -> Result<Option<u64>, NoWholeNumber> {
    match limit_in(request, "max_tokens")? {
        None => limit_in(request, "max_completion_tokens"),
        found => Ok(found),
    }
}

/// How many answers a request asks for: `n`, 1 if it is absent or null; `None` if it is no whole number above zero.
pub(crate) fn choices_of(request: &Value) -> Option<u64> {
    match request.get("n") {
        None | Some(Value::Null) => Some(1),
        Some(_) => limit_in(request, "n").ok().flatten(),
    }
}

fn limit_in(request: &Value, field: &'static str) -> Result<Option<u64>, NoWholeNumber> {
    let refused = NoWholeNumber(field);
    match request.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(limit) => match (limit.as_u64(), limit.as_f64()) {
            (Some(limit), _) => Ok((limit > 0).then_some(limit)),
            (None, Some(limit)) if limit <= 0.0 => Ok(None),
            // A whole number that was written with a point or an exponent.
            (None, Some(limit)) if limit.fract() == 0.0 && limit < u64::MAX as f64 => Ok(Some(limit as u64)),
            _ => Err(refused),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_requests_own_limit_is_read_as_the_reference_reads_it() {
        let limit = |request: Value| max_tokens_of(&request);
        assert_eq!(limit(json!({})), Ok(None));
        assert_eq!(limit(json!({"max_tokens": 64})), Ok(Some(64)));
        assert_eq!(limit(json!({"max_tokens": 64.0})), Ok(Some(64)));
        for none in [json!(0), json!(-1), json!(-0.5), json!(null)] {
            assert_eq!(limit(json!({"max_tokens": none})), Ok(None));
        }
        for invalid in [json!(1.5), json!("64"), json!(true), json!(1e300), json!([64])] {
            let refused = Err(NoWholeNumber("max_tokens"));
            assert_eq!(limit(json!({"max_tokens": invalid})), refused);
        }
    }

    #[test]
    fn the_newer_name_of_the_limit_counts_only_without_the_older() {
        assert_eq!(max_tokens_of(&json!({"max_completion_tokens": 9})), Ok(Some(9)));
        assert_eq!(max_tokens_of(&json!({"max_tokens": 5, "max_completion_tokens": 9})), Ok(Some(5)));
        assert_eq!(max_tokens_of(&json!({"max_tokens": null, "max_completion_tokens": 9})), Ok(Some(9)));
    }
}
