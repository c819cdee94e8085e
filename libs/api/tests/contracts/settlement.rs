//! Settlement's messages.

use serde_json::{Value, json};
use t4t_api::settlement::*;

use super::{ADDRESS, ID, call, errors, transport};

fn intents() -> Vec<Value> {
    let offering = json!({ "model": "llama3:8b", "prices": { "input": "3", "output": "4" },
        "max_context_tokens": "8192", "max_latency_seconds": 60 });
    vec![
        json!({ "intent": "post_job", "provider": ADDRESS, "request_hash": ID, "model": "llama3:8b",
            "max_payment": "5", "delivery_deadline": 1_795_425_311 }),
        json!({ "intent": "ack_job", "job": ID }),
        json!({ "intent": "claim_job", "job": ID, "response_hash": ID, "paid": "4" }),
        json!({ "intent": "refuse_job", "job": ID }),
        json!({ "intent": "cancel_job", "job": ID }),
        json!({ "intent": "time_out_job", "job": ID }),
        json!({ "intent": "register", "sealing_key": ID, "overlay": ID, "metadata_uri": "", "stake": "110" }),
        json!({ "intent": "update_offerings", "offerings": [offering] }),
        json!({ "intent": "heartbeat" }),
        json!({ "intent": "set_max_concurrent_jobs", "cap": 4 }),
        json!({ "intent": "add_stake", "amount": "10" }),
        json!({ "intent": "deactivate" }),
        json!({ "intent": "withdraw_stake" }),
    ]
}

fn outcomes() -> Vec<Value> {
    let status = |outcome: Value| json!({ "key": "claim:1", "nonce": 3, "hash": ID, "outcome": outcome });
    let mined = json!({ "outcome": "mined", "block": 7, "gas_used": 62_000, "fee_wei": "21000000000000", "job": ID,
        "amount": "4" });
    vec![
        status(json!({ "outcome": "pending" })),
        status(mined),
        status(json!({ "outcome": "reverted", "block": 7, "reason": "BadStatus" })),
    ]
}

#[test]
fn settlements_messages() {
    let submitted: Vec<Value> =
        intents().into_iter().map(|intent| json!({ "key": "claim:1", "intent": intent })).collect();
    let account = json!({
        "address": ADDRESS, "chain_id": 100, "registry": ADDRESS, "escrow": ADDRESS, "token": ADDRESS,
        "xdai_wei": "1000000000000000000", "max_fee_wei": "1000000000", "xbzz": "5", "pending": 0,
    });
    let ack = json!({ "jobId": format!("0x{}", "07".repeat(32)), "estimatedCompletion": 60 });
    insta::assert_json_snapshot!(json!([
        call::<SubmitTransaction>(&submitted, &outcomes()),
        call::<AwaitTransaction>(&[json!({ "key": "claim:1", "wait_ms": 60_000 })], &outcomes()),
        call::<SignEnvelope>(&[json!({ "kind": "job_ack", "to": ADDRESS, "body": ack })], &[json!("{}")]),
        call::<GetAccount>(&[json!({})], &[account]),
    ]));
    insta::assert_json_snapshot!(errors::<SettlementError>(&[
        json!({ "error": "out_of_xbzz", "wallet": ADDRESS, "has": "1", "needs": "5" }),
        json!({ "error": "out_of_gas", "wallet": ADDRESS }),
        json!({ "error": "refused", "reason": "ProviderNotLive", "advice": "choose another" }),
        json!({ "error": "unknown_transaction", "key": "claim:1" }),
        json!({ "error": "chain", "reason": "no answer" }),
        json!({ "error": "store", "reason": "disk full" }),
        json!({ "error": "invalid", "reason": "no amount" }),
        transport(),
    ]));
}
