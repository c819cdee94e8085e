//! The job dispatcher's messages, of both sides.

use serde_json::json;
use t4t_api::job_dispatcher::*;

use super::{ADDRESS, ID, call, errors, stream, transport};

#[test]
fn the_buying_sides_messages() {
    let request = json!({ "kind": "chat", "request": {
        "model": "llama3:8b", "messages": [{ "role": "user", "content": "hi" }],
    } });
    insta::assert_json_snapshot!(json!([stream::<BuyAnswer>(
        &[json!({ "id": ID, "model": "llama3:8b", "request": request })],
        &[
            json!({ "waiting": { "busy": 2 } }),
            json!({ "selected": { "provider": ADDRESS, "prices": { "input": "3", "output": "4" }, "max_payment": "5" } }),
            json!({ "posted": { "job": ID, "transaction": ID } }),
            json!("acked"),
            json!({ "retrying": { "provider": ADDRESS, "reason": "silent" } }),
            json!({ "piece": { "chunk": { "json": { "choices": [] }, "counted": 1 } } }),
            json!({ "bought": { "provider": ADDRESS, "job": ID, "cost": "4", "attempts": 1 } }),
        ],
    )]));
    insta::assert_json_snapshot!(errors::<BuyingError>(&[
        json!({ "error": "unknown_model", "model": "llama3:8b" }),
        json!({ "error": "above_price_cap", "model": "llama3:8b", "cap": "18" }),
        json!({ "error": "all_busy", "model": "llama3:8b", "retry_after_s": 5 }),
        json!({ "error": "escrow_too_large", "needs": "3", "ceiling": "1" }),
        json!({ "error": "day_limit", "limit": "10", "spent": "9", "needs": "2", "resets_in_s": 60 }),
        json!({ "error": "out_of_funds", "message": "send xBZZ" }),
        json!({ "error": "bad_request", "message": "no messages", "param": "messages" }),
        json!({ "error": "refused", "refusal": { "message": "too long", "type": "invalid_request_error", "status": 413 } }),
        json!({ "error": "providers_failed", "attempts": 2, "reason": "no answer" }),
        json!({ "error": "timed_out", "after_s": 120 }),
        json!({ "error": "unavailable", "reason": "the chain is away" }),
        transport(),
    ]));
}

#[test]
fn the_selling_sides_messages() {
    let status = json!({ "slots": 4, "busy": 1, "models": [] });
    insta::assert_json_snapshot!(json!([
        call::<RegisterRunner>(
            &[json!({ "runner": "gpu-0", "url": "http://127.0.0.1:7020/", "status": status })],
            &[json!({ "for_ms": 15_000 })],
        ),
        call::<GetSellingStatus>(
            &[json!({})],
            &[json!({
                "provider": ADDRESS, "on_offer": true, "refusing": null, "next_step": null, "open_jobs": 1, "runners": 1,
                "slots": 4, "each_runner": [{ "runner": "gpu-0", "slots": 4, "busy": 1, "models": ["llama3:8b"] }],
                "sold": { "prompt": 3, "completion": 5 },
            })],
        ),
    ]));
    insta::assert_json_snapshot!(errors::<SellingError>(&[
        json!({ "error": "invalid", "reason": "no name" }),
        json!({ "error": "unavailable", "reason": "stopping" }),
        transport(),
    ]));
}
