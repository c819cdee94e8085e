use std::collections::HashMap;

use ethers_core::abi::{Abi, Event, Token, encode};
use proptest::prelude::*;

use super::*;
use crate::abi::{bytes32_token, uint_token};
use crate::block::BlockHash;
use crate::gnosis::CONTRACTS;

const OWNER: Address = Address::new([7; 20]);
const JOB: JobId = JobId::new([8; 32]);

fn artifact(text: &str) -> Abi {
    let artifact: serde_json::Value = serde_json::from_str(text).unwrap();
    serde_json::from_value(artifact["abi"].clone()).unwrap()
}

fn log(address: Address, topics: Vec<[u8; 32]>, data: Vec<u8>) -> Log {
    let block_hash = BlockHash::new([9; 32]);
    Log { address, topics, data, block_number: 5, block_hash, tx: Default::default(), log_index: 1 }
}

fn padded(address: Address) -> [u8; 32] {
    let mut topic = [0; 32];
    topic[12..].copy_from_slice(address.as_bytes());
    topic
}

fn decoded(address: Address, topic: [u8; 32], indexed: &[[u8; 32]], data: &[Token]) -> Option<ChainEvent> {
    let topics = [&[topic], indexed].concat();
    decode(&log(address, topics, encode(data)), &CONTRACTS)
}

fn about_job(topic: [u8; 32], data: &[Token]) -> Option<ChainEvent> {
    decoded(CONTRACTS.escrow, topic, &[*JOB.as_bytes()], data)
}

fn about_owner(topic: [u8; 32], data: &[Token]) -> Option<ChainEvent> {
    decoded(CONTRACTS.registry, topic, &[padded(OWNER)], data)
}

#[test]
fn the_topics_are_those_of_the_live_and_of_our_contracts() {
    let live: HashMap<String, Abi> = serde_json::from_str(include_str!("../../vectors/abi.json")).unwrap();
    let ours = [
        artifact(include_str!("../../../../contracts/artifacts/ProviderRegistry.json")),
        artifact(include_str!("../../../../contracts/artifacts/JobEscrow.json")),
    ];
    let declared: Vec<&Event> = live.values().chain(&ours).flat_map(Abi::events).collect();
    let topics: HashMap<&str, [u8; 32]> = topics::ALL.iter().copied().collect();
    for event in &declared {
        let kinds: Vec<String> = event.inputs.iter().map(|input| input.kind.to_string()).collect();
        let signature = format!("{}({})", event.name, kinds.join(","));
        assert_eq!(topics.get(&*signature), Some(&event.signature().0), "{signature}");
    }
    assert!(topics.values().all(|topic| declared.iter().any(|event| event.signature().0 == *topic)));
}

#[test]
fn every_event_of_the_escrow_is_read() {
    let amount = Xbzz::from_plur(77);
    let seventy_seven = uint_token(77_u64);
    let hash = bytes32_token(&[6; 32]);
    let posted = [*JOB.as_bytes(), padded(OWNER), padded(Address::ZERO)];
    let expected = ChainEvent::JobPosted { job: JOB, client: OWNER, provider: Address::ZERO };
    assert_eq!(decoded(CONTRACTS.escrow, topics::JOB_POSTED, &posted, &[]), Some(expected));
    assert_eq!(about_job(topics::JOB_ACKED, &[]), Some(ChainEvent::JobAcked { job: JOB }));
    let claimed = ChainEvent::JobClaimed { job: JOB, response_hash: [6; 32].into(), paid: amount };
    assert_eq!(about_job(topics::JOB_CLAIMED, &[hash.clone(), seventy_seven.clone()]), Some(claimed));
    let cancelled = ChainEvent::JobCancelled { job: JOB, slash: amount };
    assert_eq!(about_job(topics::JOB_CANCELLED, std::slice::from_ref(&seventy_seven)), Some(cancelled));
    let timed_out = ChainEvent::JobTimedOut { job: JOB, slash: amount };
    assert_eq!(about_job(topics::JOB_TIMED_OUT, std::slice::from_ref(&seventy_seven)), Some(timed_out));
    let rejected = ChainEvent::JobRejected { job: JOB, reason: 77 };
    assert_eq!(about_job(topics::JOB_REJECTED, std::slice::from_ref(&seventy_seven)), Some(rejected));
    let terms = [hash, Token::String("llama3:8b".into()), seventy_seven, uint_token(1000_u64)];
    let expected = ChainEvent::JobTermsPosted {
        job: JOB,
        request_hash: [6; 32].into(),
        model: "llama3:8b".into(),
        max_payment: amount,
        delivery_deadline: UnixSeconds::new(1000),
    };
    assert_eq!(about_job(topics::JOB_TERMS, &terms), Some(expected));
}

#[test]
fn every_event_of_the_registry_is_read() {
    let (owner, amount) = (OWNER, Xbzz::from_plur(77));
    let number = [uint_token(77_u64)];
    let keys = [bytes32_token(&[1; 32]), bytes32_token(&[2; 32])];
    let cases = [
        (topics::PROVIDER_REGISTERED, &keys[..1], ChainEvent::ProviderRegistered { owner }),
        (topics::OFFERINGS_UPDATED, &number[..], ChainEvent::OfferingsUpdated { owner }),
        (topics::HEARTBEAT, &number, ChainEvent::Heartbeat { owner, at: UnixSeconds::new(77) }),
        (topics::STAKE_ADDED, &number, ChainEvent::StakeAdded { owner, amount }),
        (topics::PROVIDER_DEACTIVATED, &[], ChainEvent::ProviderDeactivated { owner }),
        (topics::STAKE_WITHDRAWN, &number, ChainEvent::StakeWithdrawn { owner, amount }),
        (
            topics::MAX_CONCURRENT_JOBS_UPDATED,
            &number,
            ChainEvent::MaxConcurrentJobsUpdated { owner, cap: 77 },
        ),
        (
            topics::KEYS_UPDATED,
            &keys,
            ChainEvent::KeysUpdated { owner, encryption_key: [1; 32].into(), overlay: [2; 32].into() },
        ),
    ];
    for (topic, data, expected) in cases {
        assert_eq!(expected.owner(), Some(owner));
        assert_eq!(about_owner(topic, data), Some(expected));
    }
    let slashed =
        decoded(CONTRACTS.registry, topics::STAKE_SLASHED, &[padded(owner), *JOB.as_bytes()], &number);
    assert_eq!(slashed, Some(ChainEvent::StakeSlashed { owner, amount, job: JOB }));
    let moved = about_owner(topics::METADATA_UPDATED, &[Token::String("bzz://x".into())]);
    assert_eq!(moved, Some(ChainEvent::MetadataUpdated { owner, metadata_uri: "bzz://x".into() }));
}

#[test]
fn an_event_of_another_contract_or_under_another_name_is_ignored() {
    let elsewhere = log(CONTRACTS.token, vec![topics::JOB_ACKED, *JOB.as_bytes()], Vec::new());
    assert_eq!(decode(&elsewhere, &CONTRACTS), None);
    // The registry can't speak for the escrow.
    let forged = log(CONTRACTS.registry, vec![topics::JOB_ACKED, padded(OWNER)], Vec::new());
    assert_eq!(decode(&forged, &CONTRACTS), None);
    assert_eq!(about_owner(topics::ESCROW_SET, &[]), None);
    assert_eq!(decode(&log(CONTRACTS.escrow, Vec::new(), Vec::new()), &CONTRACTS), None);
}

#[test]
fn events_survive_json() {
    let event = ChainEvent::JobClaimed { job: JOB, response_hash: [6; 32].into(), paid: Xbzz::MAX };
    let logged = LoggedEvent {
        event,
        block_number: 1,
        block_hash: BlockHash::new([9; 32]),
        log_index: 2,
        tx: Default::default(),
    };
    let json = serde_json::to_string(&logged).unwrap();
    assert_eq!(serde_json::from_str::<LoggedEvent>(&json).unwrap(), logged);
}

proptest! {
    #[test]
    fn any_log_is_read_or_ignored(kind in 0..topics::ALL.len(), topics: Vec<[u8; 32]>, data: Vec<u8>, escrow: bool) {
        let address = if escrow { CONTRACTS.escrow } else { CONTRACTS.registry };
        let topics = [vec![topics::ALL[kind].1], topics].concat();
        let _ = decode(&log(address, topics, data), &CONTRACTS);
    }
}
