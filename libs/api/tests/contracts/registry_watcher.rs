//! The registry watcher's messages.

use serde_json::json;
use t4t_api::registry_watcher::*;

use super::{ADDRESS, ID, call, errors, stream, transport};

#[test]
fn the_registry_watchers_messages() {
    let prices = json!({ "input": "3", "output": "4" });
    let provider = json!({
        "provider": ADDRESS, "sealing_key": ID, "overlay": ID, "metadata_uri": "", "stake": "100", "min_stake": "100",
        "active": true, "live": true, "last_heartbeat": 1_795_425_311, "total_jobs": 9, "successful_jobs": 8,
        "open_jobs": 1, "max_concurrent_jobs": 4,
        "offerings": [{ "model": "llama3:8b", "prices": prices, "max_context_tokens": 8192 }],
    });
    let candidate = json!({
        "provider": ADDRESS, "sealing_key": ID, "overlay": ID, "prices": prices, "max_context_tokens": 8192,
        "stake": "100", "total_jobs": 9, "successful_jobs": 8, "open_jobs": 1, "max_concurrent_jobs": 4, "live": true,
    });
    let terms = json!({
        "client": ADDRESS, "provider": ADDRESS, "request_hash": ID, "response_hash": ID, "model": "llama3:8b",
        "max_payment": "5", "posted_at": 1, "acked_at": 0, "ack_deadline": 2, "delivery_deadline": 3,
        "status": "pending",
    });
    let event = |what| json!({ "job": ID, "what": what, "block": 7, "transaction": ID });
    insta::assert_json_snapshot!(json!([
        call::<ListCandidates>(
            &[
                json!({ "model": "llama3:8b", "max_combined_price": null, "provider": null }),
                json!({ "model": "llama3:8b", "max_combined_price": "7", "provider": ADDRESS }),
            ],
            &[json!([candidate])],
        ),
        call::<ListModels>(
            &[json!({})],
            &[
                json!([{ "model": "llama3:8b", "providers": 2, "cheapest": prices, "max_context_tokens": 8192 }])
            ],
        ),
        call::<ListProviders>(
            &[json!({ "provider": null }), json!({ "provider": ADDRESS })],
            &[json!([provider])]
        ),
        call::<GetJob>(&[json!({ "job": ID })], &[terms]),
        call::<GetHead>(
            &[json!({})],
            &[json!({ "block": 7, "timestamp": 1_795_425_311, "age_ms": 20, "is_registry_read": true })],
        ),
        call::<LookClosely>(&[json!({ "for_ms": 5000 })], &[json!(null)]),
        stream::<WatchJobs>(
            &[
                json!({ "wallet": ADDRESS, "role": "client", "since_block": null }),
                json!({ "wallet": ADDRESS, "role": "provider", "since_block": 7 }),
            ],
            &[
                event(json!({ "what": "posted", "client": ADDRESS, "provider": ADDRESS })),
                event(json!({ "what": "acked" })),
                event(json!({ "what": "claimed", "response_hash": ID, "paid": "4" })),
                event(json!({ "what": "cancelled", "slash": "1" })),
                event(json!({ "what": "timed_out", "slash": "1" })),
                event(json!({ "what": "reorganised" })),
            ],
        ),
    ]));
    insta::assert_json_snapshot!(errors::<WatcherError>(&[
        json!({ "error": "not_ready" }),
        json!({ "error": "chain", "reason": "no answer" }),
        json!({ "error": "store", "reason": "disk full" }),
        json!({ "error": "lagged" }),
        transport(),
    ]));
}
