//! JSON as JavaScript reads it, and its canonical text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use t4t_json::canonical::{Json, JsonError, canonicalize};

fuzz_target!(|data: &[u8]| {
    let is_json = serde_json::from_slice::<serde_json::Value>(data).is_ok();
    match Json::parse(data) {
        Ok(value) => {
            let text = canonicalize(&value);
            let again = Json::parse(text.as_bytes()).expect("the canonical text is JSON");
            assert_eq!(again, value, "{text}");
            assert_eq!(canonicalize(&again), text, "the canonical text is its own");
            let _ = value.to_value();
        }
        Err(JsonError::TooDeep | JsonError::NumberTooLarge { .. }) => {}
        Err(error) => assert!(!is_json, "another parser reads it: {error}"),
    }
});
