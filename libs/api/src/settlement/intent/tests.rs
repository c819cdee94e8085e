use serde_json::json;
use t4t_types::JobId;

use super::*;

#[test]
fn the_groups_do_not_show_in_json_and_are_told_apart_by_the_intents_name() {
    let job = JobId::new([0x22; 32]);
    let ack: TransactionIntent = EscrowIntent::AckJob { job }.into();
    assert_eq!(serde_json::to_value(&ack).unwrap(), json!({ "intent": "ack_job", "job": job }));
    let heartbeat: TransactionIntent = serde_json::from_value(json!({ "intent": "heartbeat" })).unwrap();
    assert_eq!(heartbeat, RegistryIntent::Heartbeat.into());
    for unknown in
        [json!({ "intent": "empty_the_wallet" }), json!({ "intent": "ack_job" }), json!({ "job": job })]
    {
        assert!(serde_json::from_value::<TransactionIntent>(unknown.clone()).is_err(), "{unknown}");
    }
}
