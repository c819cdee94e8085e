//! The inference runner's messages.

use serde_json::json;
use t4t_api::inference_runner::*;

use super::{ID, call, errors, stream, transport};

#[test]
fn the_inference_runners_messages() {
    let request = json!({ "kind": "chat", "request": {
        "model": "llama3:8b", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 5,
    } });
    let usage = json!({ "prompt": 3, "completion": 5 });
    insta::assert_json_snapshot!(json!([
        call::<GetRunnerStatus>(
            &[json!({})],
            &[json!({ "slots": 4, "busy": 1, "models": [
                { "model": "llama3:8b", "prices": { "input": "3", "output": "4" }, "max_context_tokens": 8192 },
                { "model": "qwen", "prices": null, "max_context_tokens": null, "away": true },
            ] })],
        ),
        stream::<RunInference>(
            &[json!({ "job": ID, "model": "llama3:8b", "request": request, "max_completion_tokens": 5,
                "time_limit_ms": 60_000 })],
            &[
                json!({ "chunk": { "json": { "choices": [] }, "counted": 1 } }),
                json!({ "end": { "whole": null, "usage": usage } }),
                json!({ "end": { "whole": { "choices": [] }, "usage": usage } }),
            ],
        ),
    ]));
    insta::assert_json_snapshot!(errors::<RunnerError>(&[
        json!({ "error": "full", "slots": 4 }),
        json!({ "error": "unknown_model", "model": "llama3:8b" }),
        json!({ "error": "refused", "refusal": { "message": "too long", "type": "invalid_request_error", "status": 413 } }),
        json!({ "error": "backend", "reason": "out of memory" }),
        json!({ "error": "timed_out" }),
        transport(),
    ]));
}
