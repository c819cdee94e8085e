//! Which runner has which beginning of a request in memory.

use std::collections::HashMap;

use t4t_inference::InferenceRequest;
use t4t_panics::Lock;
use t4t_types::{ModelId, RequestId, keccak256};

/// Requests whose runner is remembered, so that the next one with the same beginning goes where its prefix is cached.
const REMEMBERED_PREFIXES: usize = 4096;

/// The runners that served a beginning last.
#[derive(Default)]
pub(super) struct Prefixes(Lock<HashMap<RequestId, String>>);

impl Prefixes {
    pub(super) fn runner_of(&self, prefix: RequestId) -> Option<String> {
        self.0.lock().get(&prefix).cloned()
    }

    pub(super) fn remember(&self, prefix: RequestId, runner: &str) {
        let mut prefixes = self.0.lock();
        if prefixes.len() >= REMEMBERED_PREFIXES {
            prefixes.clear();
        }
        prefixes.insert(prefix, runner.to_owned());
    }
}

/// What requests with the same beginning have in common: their model and first message's first kilobyte.
pub(crate) fn prefix_of(model: &ModelId, request: &InferenceRequest) -> RequestId {
    let request = request.json().as_str();
    const PREFIX_BYTES: usize = 1024;
    let start = request.find("\"messages\"").unwrap_or_default();
    let bytes = request.as_bytes();
    let prefix = bytes.get(start..).map(|rest| &rest[..rest.len().min(PREFIX_BYTES)]).unwrap_or_default();
    RequestId::new(keccak256([model.as_str().as_bytes(), &[0], prefix].concat()))
}
