//! Intents are stored: what today's databases hold has to be read for as long as there are such databases.

use serde_json::{Value, json};
use t4t_api::settlement::{EscrowIntent, RegistryIntent, TransactionIntent};
use t4t_chain::{ChainEvent, ContractAddresses};
use t4t_types::{Address, JobId, SwarmRef, UnixSeconds, Wei, Xbzz};

use super::*;

const TO: Address = Address::new([0x77; 20]);

fn job() -> JobId {
    JobId::new([0x22; 32])
}

fn read(stored: &Value) -> Intent {
    serde_json::from_str(&stored.to_string()).unwrap_or_else(|error| panic!("{stored}: {error}"))
}

fn post() -> EscrowIntent {
    EscrowIntent::PostJob {
        provider: TO,
        request_hash: SwarmRef::new([0x33; 32]),
        model: "llama3".parse().unwrap(),
        max_payment: Xbzz::from_plur(12),
        delivery_deadline: UnixSeconds::new(1_700_000_300),
    }
}

/// Texts as the first release stored them, with what they mean.
fn stored() -> Vec<(Value, Intent)> {
    let hex = |byte: &str| format!("0x{}", byte.repeat(32));
    let (job_id, to) = (hex("22"), "0x7777777777777777777777777777777777777777");
    let escrow = |intent: EscrowIntent| Intent::Asked(intent.into());
    let registry = |intent: RegistryIntent| Intent::Asked(intent.into());
    let job = job();
    vec![
        (
            json!({"intent": "post_job", "provider": to, "request_hash": "33".repeat(32), "model": "llama3",
                   "max_payment": "12", "delivery_deadline": 1_700_000_300}),
            escrow(post()),
        ),
        (json!({"intent": "ack_job", "job": job_id}), escrow(EscrowIntent::AckJob { job })),
        (
            json!({"intent": "claim_job", "job": job_id, "response_hash": "33".repeat(32), "paid": "7"}),
            escrow(EscrowIntent::ClaimJob {
                job,
                response_hash: SwarmRef::new([0x33; 32]),
                paid: Xbzz::from_plur(7),
            }),
        ),
        (json!({"intent": "refuse_job", "job": job_id}), escrow(EscrowIntent::RefuseJob { job })),
        (json!({"intent": "cancel_job", "job": job_id}), escrow(EscrowIntent::CancelJob { job })),
        (json!({"intent": "time_out_job", "job": job_id}), escrow(EscrowIntent::TimeOutJob { job })),
        (
            json!({"intent": "register", "sealing_key": hex("44"), "overlay": hex("55"), "metadata_uri": "",
                   "stake": "9"}),
            registry(RegistryIntent::Register {
                sealing_key: t4t_types::EncryptionKey::new([0x44; 32]),
                overlay: t4t_types::Overlay::new([0x55; 32]),
                metadata_uri: String::new(),
                stake: Xbzz::from_plur(9),
            }),
        ),
        (
            json!({"intent": "update_offerings", "offerings": []}),
            registry(RegistryIntent::UpdateOfferings { offerings: Vec::new() }),
        ),
        (json!({"intent": "heartbeat"}), registry(RegistryIntent::Heartbeat)),
        (
            json!({"intent": "set_max_concurrent_jobs", "cap": 4}),
            registry(RegistryIntent::SetMaxConcurrentJobs { cap: 4 }),
        ),
        (
            json!({"intent": "add_stake", "amount": "5"}),
            registry(RegistryIntent::AddStake { amount: Xbzz::from_plur(5) }),
        ),
        (json!({"intent": "deactivate"}), registry(RegistryIntent::Deactivate)),
        (json!({"intent": "withdraw_stake"}), registry(RegistryIntent::WithdrawStake)),
    ]
}

/// The same of what no message can ask for.
fn stored_own() -> Vec<(Value, Intent)> {
    let to = "0x7777777777777777777777777777777777777777";
    let send = |funds| Intent::Own(OwnIntent::Send(SendFunds { to: TO, funds }));
    vec![
        (
            json!({"intent": "approve", "spender": to, "amount": "7"}),
            Intent::Own(OwnIntent::Approve { spender: TO, amount: Xbzz::from_plur(7) }),
        ),
        (json!({"intent": "send", "token": "xdai", "to": to, "amount": "9"}), send(Funds::Xdai(Wei::new(9)))),
        (
            json!({"intent": "send", "token": "xbzz", "to": to, "amount": "340282366920938463463374607431768211455"}),
            send(Funds::Xbzz(Xbzz::MAX)),
        ),
    ]
}

#[test]
fn what_the_first_release_stored_is_read_and_stored_in_the_same_form() {
    for (text, intent) in stored().into_iter().chain(stored_own()) {
        assert_eq!(read(&text), intent);
        assert_eq!(serde_json::to_value(&intent).unwrap(), text);
    }
}

#[test]
fn no_message_can_send_money_or_let_a_contract_take_it() {
    for (text, intent) in stored_own() {
        assert!(matches!(intent, Intent::Own(_)));
        assert!(
            serde_json::from_value::<TransactionIntent>(text.clone()).is_err(),
            "a message could ask for {text}"
        );
    }
}

#[test]
fn only_what_pays_may_not_be_done_twice() {
    let pays = |intent: &Intent| {
        matches!(
            intent,
            Intent::Asked(
                TransactionIntent::Escrow(EscrowIntent::PostJob { .. })
                    | TransactionIntent::Registry(RegistryIntent::AddStake { .. })
            ) | Intent::Own(OwnIntent::Send(_))
        )
    };
    for (text, intent) in stored().into_iter().chain(stored_own()) {
        assert_eq!(intent.is_harmless_twice(), !pays(&intent), "{text}");
    }
}

#[test]
fn a_contract_takes_what_an_intent_pays_from_its_own_allowance_and_nothing_else_is_taken() {
    let contracts = ContractAddresses {
        registry: Address::new([1; 20]),
        escrow: Address::new([2; 20]),
        token: Address::new([3; 20]),
    };
    for (text, intent) in stored().into_iter().chain(stored_own()) {
        let plan = intent.plan(&contracts).unwrap();
        let expected = match text["intent"].as_str().unwrap() {
            "post_job" => (Xbzz::from_plur(12), Some(contracts.escrow)),
            "register" => (Xbzz::from_plur(9), Some(contracts.registry)),
            "add_stake" => (Xbzz::from_plur(5), Some(contracts.registry)),
            "send" if text["token"] == "xbzz" => (Xbzz::MAX, None),
            _ => (Xbzz::ZERO, None),
        };
        assert_eq!((plan.spends, plan.spender.map(|spender| spender.contract)), expected, "{text}");
    }
}

#[test]
fn a_receipt_says_which_job_was_posted_and_what_a_claim_paid() {
    let job = job();
    let paid = Xbzz::from_plur(7);
    let posted = Intent::Asked(post().into());
    let claimed = ChainEvent::JobClaimed { job, response_hash: SwarmRef::ZERO, paid };
    let effect = posted.effect_of_all([ChainEvent::JobAcked { job }, claimed.clone()].into_iter());
    assert_eq!(effect, Effect { job: Some(job), amount: None }, "the first event counts");
    let refund = Intent::Asked(EscrowIntent::CancelJob { job }.into());
    assert_eq!(refund.effect(&claimed), Some(Effect { job: Some(job), amount: Some(paid) }));
    let heartbeat = Intent::Asked(RegistryIntent::Heartbeat.into());
    assert_eq!(heartbeat.effect_of_all(std::iter::once(claimed)), Effect::default());
}
