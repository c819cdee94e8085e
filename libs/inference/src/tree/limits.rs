//! The limits of a request, read from a tree.

use serde_json::Value;

/// A limit that is not a whole number, by its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoWholeNumber(pub(super) &'static str);

/// The request's own limit on the answer, in tokens: `max_tokens`, else `max_completion_tokens`. Zero, a negative
/// number and null are no limit.
///
/// The reference knows `max_tokens` alone. A gateway that honours the newer name pays less into escrow; a provider that
/// does so answers no more than it was asked for.
///
/// # Errors
/// [`NoWholeNumber`] for a fraction, or for what is no number.
pub(super) fn max_tokens_of(request: &Value) -> Result<Option<u64>, NoWholeNumber> {
    match limit_in(request, "max_tokens")? {
        None => limit_in(request, "max_completion_tokens"),
        found => Ok(found),
    }
}

/// How many answers a request asks for: `n`, 1 if it is absent or null; `None` if it is no whole number above zero.
pub(super) fn choices_of(request: &Value) -> Option<u64> {
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
