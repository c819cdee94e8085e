//! What a backend says of its error, in any of the forms that backends use.

use serde_json::{Map, Value};
use t4t_inference::Refusal;

/// Reads a backend's error; `status` is what its HTTP head said.
///
/// Never the text of an answer: only what stands where errors stand.
pub(crate) fn refusal_of(body: &Map<String, Value>, status: Option<u16>) -> Refusal {
    let error = body.get("error");
    let field = |name: &str| {
        error.and_then(|error| error.get(name)).or_else(|| body.get(name)).filter(|it| !it.is_null())
    };
    let text = |name: &str| field(name).and_then(Value::as_str).map(str::to_owned);
    let stated = ["code", "status", "status_code"].iter().find_map(|name| field(name).and_then(status_in));
    Refusal {
        message: message_of(body).unwrap_or_else(|| "the backend gave no reason".into()),
        kind: text("type"),
        param: text("param"),
        code: text("code").filter(|code| code.parse::<u16>().is_err()),
        status: status.or(stated),
        retry_after: ["retry_after", "retry_after_seconds"]
            .iter()
            .find_map(|name| field(name).and_then(Value::as_u64)),
    }
}

/// A number that can be a status of an error, also written as a text.
fn status_in(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// The text in which a backend says what is wrong, in any of the forms that backends use.
fn message_of(body: &Map<String, Value>) -> Option<String> {
    let error = body.get("error");
    let forms =
        [error.and_then(|error| error.get("message")), error, body.get("message"), body.get("detail")];
    let text = forms.into_iter().flatten().find_map(Value::as_str).map(str::to_owned);
    text.or_else(|| error.or(body.get("detail")).map(Value::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_error_keeps_its_code_param_and_type() {
        let body =
            r#"{"error":{"message":"m","type":"t","param":"messages","code":"context_length_exceeded"}}"#;
        let refusal = refusal_of(&serde_json::from_str(body).unwrap(), Some(400));
        assert_eq!((refusal.kind.as_deref(), refusal.param.as_deref()), (Some("t"), Some("messages")));
        assert_eq!(refusal.code.as_deref(), Some("context_length_exceeded"));
        let answer = r#"{"choices":[{"message":{"content":"secret"}}]}"#;
        assert!(!refusal_of(&serde_json::from_str(answer).unwrap(), Some(500)).message.contains("secret"));
    }
}
