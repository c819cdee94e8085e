//! Sealing an answer, or the reason why there is none.

use t4t_crypto::{CryptoError, seal};
use t4t_inference::Refusal;
use t4t_json::JsonText;
use t4t_protocol::{ResponsePayload, V1};
use t4t_types::{Address, EncryptionKey, RoutingId, UnixSeconds};

/// Seals an answer to its client.
pub(crate) fn seal_answer(
    job_id: RoutingId,
    provider: Address,
    client_key: &EncryptionKey,
    response: JsonText,
    now: UnixSeconds,
) -> Result<Vec<u8>, CryptoError> {
    let payload = ResponsePayload { v: V1, job_id, provider, openai_response: response, ts: now };
    seal(client_key, &payload.to_json())
}

/// The answer that says why there is none, in the form of an OpenAI error.
pub(crate) fn declined(refusal: &Refusal) -> JsonText {
    #[derive(serde::Serialize)]
    struct Declined<'a> {
        error: &'a Refusal,
    }
    serde_json::value::to_raw_value(&Declined { error: refusal })
        .expect("texts and numbers always have a JSON form")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_sealed_with_all_that_the_backend_said() {
        let refusal = Refusal {
            param: Some("messages".into()),
            code: Some("context_length_exceeded".into()),
            ..Refusal::of_request("too long")
        };
        let expected = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded","status":400}}"#;
        assert_eq!(declined(&refusal).as_str(), expected);
    }
}
