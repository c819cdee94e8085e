//! Whether an opened request is the one that a job pays for.

use t4t_crypto::seal;
use t4t_inference::{InferenceRequest, Kind, RequestFault};
use t4t_protocol::RequestPayload;
use t4t_types::{Address, EncryptionKey, ModelId};

/// What is said of a payment that no answer can be had for.
pub(crate) const UNDERPAID: &str = "the payment does not cover the prompt";

/// A request that belongs to its job.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asked: InferenceRequest,
    /// What to seal the answer to.
    pub(crate) client_key: EncryptionKey,
}

/// Why a job's request can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the request is not one: {0}")]
    Malformed(String),
    /// What could be read as another request than was paid; its client is told.
    #[error("{fault}")]
    Fault { fault: RequestFault, client_key: EncryptionKey },
    #[error("the request belongs to another client")]
    ForeignClient,
    #[error("the request is for another model than the job")]
    ForeignModel,
}

/// Checks a request against its job: who pays for it, and for which model.
pub(crate) fn check_request(
    client: Address,
    model: &ModelId,
    payload: &RequestPayload,
) -> Result<Request, RequestError> {
    // Anybody can seal to us and post a copied reference: only the job's own client may have this served.
    if payload.client != client {
        return Err(RequestError::ForeignClient);
    }
    let client_key = payload.client_key;
    // A key that nothing can be sealed to would show only after the work is done.
    seal(&client_key, &[]).map_err(|error| RequestError::Malformed(error.to_string()))?;
    if payload.model_id != *model {
        return Err(RequestError::ForeignModel);
    }
    let asked = InferenceRequest::read(Kind::Chat, payload.openai_request.bytes().clone());
    let asked = asked.map_err(|fault| RequestError::Fault { fault, client_key })?;
    if asked.model() != Some(model.as_str()) {
        return Err(RequestError::ForeignModel);
    }
    Ok(Request { asked, client_key })
}

#[cfg(test)]
mod tests {
    use t4t_crypto::SealingKey;
    use t4t_protocol::V1;
    use t4t_types::UnixSeconds;

    use super::*;
    use crate::selling::runner_for_tests::json;

    const CLIENT: Address = Address::new([2; 20]);

    fn payload(model: &str, asked: &str) -> RequestPayload {
        RequestPayload {
            v: V1,
            job_id: [3; 32],
            client: CLIENT,
            model_id: model.parse().unwrap(),
            openai_request: json(asked),
            client_key: SealingKey::generate().unwrap().public(),
            ts: UnixSeconds::new(1),
        }
    }

    fn check(payload: &RequestPayload) -> Result<Request, RequestError> {
        check_request(CLIENT, &"m".parse().unwrap(), payload)
    }

    #[test]
    fn only_the_request_of_the_jobs_client_and_model_is_served() {
        let asked =
            |model: &str| format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
        assert!(check(&payload("m", &asked("m"))).is_ok());
        let foreign = RequestPayload { client: Address::ZERO, ..payload("m", &asked("m")) };
        assert!(matches!(check(&foreign), Err(RequestError::ForeignClient)));
        assert!(matches!(check(&payload("other", &asked("m"))), Err(RequestError::ForeignModel)));
        assert!(matches!(check(&payload("m", &asked("other"))), Err(RequestError::ForeignModel)));
        let keyless = RequestPayload { client_key: [0xff; 32].into(), ..payload("m", &asked("m")) };
        assert!(matches!(check(&keyless), Err(RequestError::Malformed(_))));
        assert!(matches!(check(&payload("m", "[]")), Err(RequestError::Fault { .. })));
    }
}
