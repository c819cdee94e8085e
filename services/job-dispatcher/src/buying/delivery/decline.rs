//! A provider's word for why it did not answer.

use serde::Deserialize;
use serde_json::Value;
use t4t_api::job_dispatcher::BuyingError;
use t4t_inference::Refusal;

/// A provider's word for why it did not answer, in the form of an OpenAI error: read as far as it is one, and bounded.
#[derive(Clone, Debug)]
pub(in crate::buying) struct Decline(Refusal);

impl<'de> Deserialize<'de> for Decline {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Some peers write numbers where others write texts; a refusal that can't be read is still one.
        let said = Value::deserialize(deserializer)?;
        let text = |field: &str| said.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| said.get(field).and_then(Value::as_u64);
        let status =
            number("status").or_else(|| number("code")).and_then(|status| u16::try_from(status).ok());
        let refusal = Refusal {
            message: text("message").or_else(|| said.as_str().map(str::to_owned)).unwrap_or_default(),
            kind: text("type"),
            param: text("param"),
            code: text("code"),
            status,
            retry_after: number("retry_after"),
        };
        Ok(Self(refusal.bounded()))
    }
}

impl std::fmt::Display for Decline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = &self.0.message;
        f.write_str(if message.trim().is_empty() { "it refused the job" } else { message })
    }
}

impl Decline {
    /// Whether it says that the request is at fault: then a second provider is asked, and no third.
    pub(in crate::buying) fn blames_request(&self) -> bool {
        self.0.blames_request()
    }

    /// The error for the app, if the request itself is said to be at fault: it is told once a second provider says so,
    /// or if there is none.
    pub(in crate::buying) fn as_bad_request(&self) -> Option<BuyingError> {
        self.blames_request().then(|| BuyingError::Refused { refusal: Box::new(self.clone().into_refusal()) })
    }

    /// What the app is told if no other provider does better, where there is more to tell than that it failed: a status,
    /// such as 429 or 503, with the time after which to try again.
    pub(in crate::buying) fn as_last_word(&self) -> Option<BuyingError> {
        self.0.tells_app().then(|| BuyingError::Refused { refusal: Box::new(self.clone().into_refusal()) })
    }

    /// The same, as it goes to the app.
    pub(in crate::buying) fn into_refusal(self) -> Refusal {
        Refusal { message: self.to_string(), ..self.0 }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decline(error: Value) -> Decline {
        serde_json::from_value(error).unwrap()
    }

    #[test]
    fn of_a_providers_words_500_characters_are_kept_on_one_line() {
        let long = format!("first\r\nsecond\u{1b}[31m{}", "ä".repeat(1_000_000));
        let kept = decline(json!({"message": long, "type": "server_error"})).to_string();
        assert!(kept.starts_with("firstsecond[31mää"), "{kept}");
        assert_eq!(kept.chars().count(), 500);
        assert_eq!(decline(json!({"message": "\n\t \0"})).to_string(), "it refused the job");
        assert_eq!(decline(json!(7)).to_string(), "it refused the job");
    }

    #[test]
    fn a_backends_status_code_param_and_time_to_wait_survive() {
        let said = json!({"message": "too long", "type": "invalid_request_error", "param": "messages",
            "code": "context_length_exceeded", "status": 413});
        let Some(BuyingError::Refused { refusal }) = decline(said).as_bad_request() else { panic!() };
        assert_eq!((refusal.status, refusal.code.as_deref()), (Some(413), Some("context_length_exceeded")));
        assert_eq!(refusal.param.as_deref(), Some("messages"));
        let busy =
            decline(json!({"message": "slow down", "type": "rate_limit", "status": 429, "retry_after": 2}));
        assert!(!busy.blames_request() && busy.as_bad_request().is_none());
        let Some(BuyingError::Refused { refusal }) = busy.as_last_word() else { panic!() };
        assert_eq!((refusal.status, refusal.retry_after), (Some(429), Some(2)));
        assert!(decline(json!({"message": "it failed", "type": "server_error"})).as_last_word().is_none());
    }

    #[test]
    fn a_refusal_of_a_peer_that_knows_no_status_is_400_if_it_blames_the_request() {
        let old =
            decline(json!({"message": "no", "type": "invalid_request_error", "param": null, "code": null}));
        assert_eq!(old.clone().into_refusal().status, Some(400));
        assert!(old.blames_request());
        let numbers = decline(json!({"message": "no", "type": 7, "code": 503}));
        assert_eq!((numbers.blames_request(), numbers.into_refusal().status), (false, Some(503)));
    }

    #[test]
    fn what_reaches_the_app_of_a_refusal_is_bounded_too() {
        let long = "x\n".repeat(10_000);
        let said = decline(json!({"message": long, "type": "invalid_request_error", "param": long}));
        let refusal = said.into_refusal();
        assert_eq!((refusal.message.len(), refusal.param.unwrap().len()), (500, 100));
    }
}
