//! Opened payloads: requests and answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use t4t_protocol::{RequestPayload, ResponsePayload};

fuzz_target!(|data: &[u8]| {
    if let Ok(payload) = RequestPayload::parse(data.to_vec().into()) {
        let json = payload.to_json();
        let again = RequestPayload::parse(json.clone().into()).expect("what was written can be read");
        assert_eq!(again.to_json(), json);
    }
    if let Ok(payload) = ResponsePayload::parse(data.to_vec().into()) {
        let json = payload.to_json();
        let again = ResponsePayload::parse(json.clone().into()).expect("what was written can be read");
        assert_eq!(again.to_json(), json);
    }
});
