//! An app's chat request, and a provider's answer to it.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The edge keeps its wire format to itself; the same source is compiled in here.
#[expect(dead_code, reason = "only the parsers are used")]
#[path = "../../../../services/openai-api/src/wire/mod.rs"]
mod wire;

use wire::answer::Answer;
use wire::request::ChatRequest;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = ChatRequest::parse(data) {
        let again = ChatRequest::parse(request.raw.get().as_bytes()).expect("the kept text is the request");
        assert_eq!(again.model, request.model);
        // Whoever reads it after the edge must be able to.
        serde_json::from_str::<serde_json::Value>(request.raw.get()).expect("all of it can be read");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Answer::parse(text);
    }
});
