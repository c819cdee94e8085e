//! Why a backend did not answer, and what its refusals mean.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};
use t4t_api::inference_runner::RunnerError;
use t4t_inference::Refusal;

use crate::refusal::refusal_of;

/// When to try again what a backend can't take now, in seconds, where it does not say.
const RETRY_AFTER: u64 = 5;
/// The code of an error that says that a backend can't be reached.
pub(crate) const AWAY: &str = "backend_unreachable";

/// Why a backend did not answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It says why, in a way that an app may be told.
    Refused {
        /// What it says.
        refusal: Refusal,
        /// Its whole body, for whoever looks for a word in it.
        body: String,
    },
    /// It can't be reached: nobody is at fault, and it may be back in a moment.
    Away(String),
    /// It broke, or is set up wrongly.
    Broken(String),
}

impl From<Failure> for RunnerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { refusal, .. } => Self::Refused { refusal },
            Failure::Away(reason) => {
                let refusal = Refusal { code: Some(AWAY.into()), ..Refusal::try_again(reason, RETRY_AFTER) };
                Self::Refused { refusal }
            }
            Failure::Broken(reason) => Self::Backend { reason },
        }
    }
}

impl Failure {
    /// What a response means that is no answer, where its status says it all; `name` is the backend's.
    pub(super) fn of_status(status: StatusCode, name: &str) -> Option<Self> {
        let reason = match status.as_u16() {
            401 | 403 => format!("endpoint {name} refused the key with status {status}: check its apiKey"),
            300..=399 => format!("endpoint {name} redirects, which is not followed: check its url"),
            _ => return None,
        };
        Some(Self::Broken(reason))
    }

    /// What a response means that is no answer, by its body, in which the backend's key does not stand any more.
    pub(super) fn of_body(status: StatusCode, retry_after: Option<u64>, name: &str, body: String) -> Self {
        let json = serde_json::from_str::<Map<String, Value>>(&body).ok();
        let mut refusal = match &json {
            Some(json) => refusal_of(json, None),
            None => Refusal::failed(body.as_str()),
        };
        let (told, is_said) = told_status(status, json.is_some());
        refusal.status = told;
        refusal.retry_after = retry_after.or(refusal.retry_after);
        if matches!(told, Some(429 | 503)) {
            refusal.retry_after = refusal.retry_after.or(Some(RETRY_AFTER));
            refusal.message = format!("endpoint {name}: {}", refusal.message);
        }
        let refusal = refusal.bounded();
        if is_said {
            return Self::Refused { refusal, body };
        }
        Self::Broken(format!("endpoint {name} answered with status {status}: {}", refusal.message))
    }
}

/// The status that an app is told for a backend's, and whether it is told at all. Without JSON, 404 says that the route
/// is missing.
fn told_status(status: StatusCode, is_json: bool) -> (Option<u16>, bool) {
    match status.as_u16() {
        404 if !is_json => (None, false),
        415 => (Some(400), true),
        // Cloud providers' own word for "overloaded".
        529 => (Some(503), true),
        said @ (400 | 404 | 413 | 422 | 429 | 503) => (Some(said), true),
        _ => (None, false),
    }
}

/// Seconds after which to try again, rounded up; a date is not read.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"))?;
    (seconds.is_finite() && seconds >= 0.0).then(|| seconds.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_read_in_seconds() {
        let waits = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(waits("retry-after", "2"), Some(2));
        assert_eq!(waits("retry-after", "1.2"), Some(2));
        assert_eq!(waits("retry-after-ms", "1500"), Some(2));
        for odd in ["-1", "inf", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT", ""] {
            assert_eq!(waits("retry-after", odd), None, "{odd}");
        }
    }
}
