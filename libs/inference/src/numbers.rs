//! The numbers that a request states itself.

use serde_json::Number;
use t4t_json::{JsonKind, Layout};

use crate::fault::RequestFault;
use crate::limits::MAX_CHOICES;

/// The numbers that a request states, where they lie in its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a>(pub(crate) &'a str, pub(crate) &'a Layout);

impl Numbers<'_> {
    /// The request's own limit on the answer, in tokens: `max_tokens`, else `max_completion_tokens`. Zero, a negative
    /// number and null are no limit.
    ///
    /// The reference knows `max_tokens` alone. A gateway that honours the newer name pays less into escrow; a provider
    /// that does so answers no more than it was asked for.
    pub(crate) fn max_tokens(self) -> Result<Option<u64>, RequestFault> {
        match self.limit("max_tokens")? {
            None => self.limit("max_completion_tokens"),
            found => Ok(found),
        }
    }

    /// How many answers a request asks for: `n`, 1 if it is absent or null.
    pub(crate) fn choices(self) -> Result<u64, RequestFault> {
        let is_given = self.1.get("n").is_some_and(|member| member.kind != JsonKind::Null);
        let choices = if is_given { self.limit("n").ok().flatten() } else { Some(1) };
        choices.filter(|choices| (1..=MAX_CHOICES).contains(choices)).ok_or_else(|| {
            RequestFault::new("n", "invalid_value", format!("n is a whole number from 1 to {MAX_CHOICES}"))
        })
    }

    fn limit(self, field: &'static str) -> Result<Option<u64>, RequestFault> {
        let Self(text, layout) = self;
        let Some(member) = layout.get(field).filter(|member| member.kind != JsonKind::Null) else {
            return Ok(None);
        };
        let number: Option<Number> = serde_json::from_str(&text[member.value.clone()]).ok();
        let number = number.ok_or_else(|| limit_fault(field))?;
        match (number.as_u64(), number.as_f64()) {
            (Some(limit), _) => Ok((limit > 0).then_some(limit)),
            (None, Some(limit)) if limit <= 0.0 => Ok(None),
            // A whole number that was written with a point or an exponent.
            (None, Some(limit)) if limit.fract() == 0.0 && limit < u64::MAX as f64 => Ok(Some(limit as u64)),
            _ => Err(limit_fault(field)),
        }
    }
}

pub(crate) fn limit_fault(field: &str) -> RequestFault {
    RequestFault::new(field, "invalid_type", format!("{field} is not a whole number of tokens"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn limit(request: Value) -> Result<Option<u64>, RequestFault> {
        let text = request.to_string();
        let edit = crate::reading::Reading::of(text.into()).unwrap();
        Numbers(edit.text(), edit.layout()).max_tokens()
    }

    #[test]
    fn the_requests_own_limit_is_read_as_the_reference_reads_it() {
        assert_eq!(limit(json!({})), Ok(None));
        assert_eq!(limit(json!({"max_tokens": 64})), Ok(Some(64)));
        assert_eq!(limit(json!({"max_tokens": 64.0})), Ok(Some(64)));
        for none in [json!(0), json!(-1), json!(-0.5), json!(null)] {
            assert_eq!(limit(json!({"max_tokens": none})), Ok(None));
        }
        for invalid in [json!(1.5), json!("64"), json!(true), json!(1e300), json!([64])] {
            assert_eq!(limit(json!({"max_tokens": invalid})), Err(limit_fault("max_tokens")));
        }
    }

    #[test]
    fn the_newer_name_of_the_limit_counts_only_without_the_older() {
        assert_eq!(limit(json!({"max_completion_tokens": 9})), Ok(Some(9)));
        assert_eq!(limit(json!({"max_tokens": 5, "max_completion_tokens": 9})), Ok(Some(5)));
        assert_eq!(limit(json!({"max_tokens": null, "max_completion_tokens": 9})), Ok(Some(9)));
    }
}
