use std::collections::HashMap;

use ethers_core::abi::{Token as AbiToken, encode};
use proptest::prelude::*;
use t4t_types::{JobId, TokenPrices, UnixSeconds, Xbzz};

use super::escrow::read_terms;
use super::*;
use crate::abi::{Interface, address_token, bytes32_token, uint_token};
use crate::gnosis::CONTRACTS;

fn provider() -> Address {
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap()
}

fn offering() -> Offering {
    Offering {
        model: "llama3:8b".into(),
        prices: TokenPrices {
            input: Xbzz::from_plur(3_000_000_000_000_000),
            output: Xbzz::from_plur(15_000_000_000_000_000),
        },
        max_context_tokens: 8192,
        max_latency_seconds: 120,
    }
}

#[test]
fn calldata_is_what_another_encoder_makes() {
    let order = JobOrder {
        provider: provider(),
        request_hash: [0x11; 32].into(),
        model: "llama3:8b".parse().unwrap(),
        max_payment: Xbzz::from_plur(2_079_000_000_000),
        delivery_deadline: UnixSeconds::new(1_700_000_900),
    };
    let registration = Registration {
        encryption_key: [0x44; 32].into(),
        overlay: [0x55; 32].into(),
        metadata_uri: String::new(),
        stake: Xbzz::from_whole(100),
    };
    let (escrow, registry) = (CONTRACTS.escrow(), CONTRACTS.registry());
    let calls = [
        ("postJob", escrow.post_job(&order)),
        ("claimJob", escrow.claim_job([0x22; 32].into(), [0x33; 32].into(), Xbzz::from_plur(7))),
        ("rejectJob", escrow.reject_job([0x22; 32].into(), 3)),
        ("updateOfferings", registry.update_offerings(&[offering()])),
        ("register", registry.register(&registration)),
        ("approve", CONTRACTS.token().approve_all(provider())),
    ];
    // Made with Foundry's `cast calldata`.
    let vectors: HashMap<&str, String> =
        serde_json::from_str(include_str!("../../vectors/calldata.json")).unwrap();
    for (name, call) in calls {
        assert_eq!(hex::encode(&call.data), vectors[name], "{name}");
    }
}

#[test]
fn every_call_can_be_built() {
    let (escrow, registry, token) = (CONTRACTS.escrow(), CONTRACTS.registry(), CONTRACTS.token());
    let job = JobId::ZERO;
    let to_escrow =
        [escrow.ack_job(job), escrow.cancel_job(job), escrow.timeout_job(job), escrow.reject_job(job, 3)];
    let to_registry = [
        registry.heartbeat(),
        registry.set_max_concurrent_jobs(2),
        registry.add_stake(Xbzz::MAX),
        registry.deactivate(),
        registry.withdraw_stake(),
        registry.set_escrow(CONTRACTS.escrow),
        registry.update_keys([1; 32].into(), [2; 32].into()),
        registry.update_metadata("bzz://x"),
    ];
    let amount = Xbzz::from_plur(1);
    let to_token = [
        token.approve(provider(), amount),
        token.approve_all(provider()),
        token.transfer(provider(), amount),
    ];
    assert!(to_escrow.iter().all(|call| call.to == CONTRACTS.escrow && call.data.len() >= 36));
    assert!(to_registry.iter().all(|call| call.to == CONTRACTS.registry && call.data.len() >= 4));
    assert!(to_token.iter().all(|call| call.to == CONTRACTS.token && call.data.len() == 68));
}

#[test]
fn a_jobs_id_is_known_before_it_is_posted() {
    let id = CONTRACTS.escrow().job_id(100, provider(), 1);
    assert_eq!(id.to_string(), "0x13c2676ae29e666c36cff9cea21cc2000c48b8654f8df6f5470084f9b8db6b95");
}

fn job_tokens(status: u64) -> Vec<AbiToken> {
    vec![
        address_token(provider()),
        address_token(Address::new([9; 20])),
        bytes32_token(&[1; 32]),
        bytes32_token(&[2; 32]),
        AbiToken::String("llama3:8b".into()),
        uint_token(77_u64),
        uint_token(1000_u64),
        uint_token(1010_u64),
        uint_token(1030_u64),
        uint_token(1900_u64),
        uint_token(status),
    ]
}

#[test]
fn a_job_is_read_as_the_interface_says() {
    let answer = encode(&job_tokens(2));
    // The other decoder agrees that this is an answer of `jobs`.
    assert_eq!(
        Interface::Escrow.abi().function("jobs").unwrap().decode_output(&answer).unwrap(),
        job_tokens(2)
    );
    let read = read_terms(Reader::new(&answer)).unwrap();
    let expected = JobTerms {
        client: provider(),
        provider: Address::new([9; 20]),
        request_hash: [1; 32].into(),
        response_hash: [2; 32].into(),
        model: "llama3:8b".into(),
        max_payment: Xbzz::from_plur(77),
        posted_at: UnixSeconds::new(1000),
        acked_at: UnixSeconds::new(1010),
        ack_deadline: UnixSeconds::new(1030),
        delivery_deadline: UnixSeconds::new(1900),
        status: JobStatus::Acked,
    };
    assert_eq!(read, expected);
    assert!(read_terms(Reader::new(&encode(&job_tokens(7)))).is_err());
    let unknown = read_terms(Reader::new(&encode(&job_tokens(0)))).unwrap();
    assert_eq!(unknown.status, JobStatus::None);
}

fn provider_token() -> AbiToken {
    AbiToken::Tuple(vec![
        address_token(provider()),
        bytes32_token(&[1; 32]),
        bytes32_token(&[2; 32]),
        AbiToken::String("bzz://x".into()),
        uint_token(100_u64),
        uint_token(1000_u64),
        uint_token(5_u64),
        uint_token(4_u64),
        AbiToken::Bool(true),
        uint_token(3_u64),
    ])
}

#[test]
fn providers_and_offers_are_read_as_the_interface_says() {
    let page = [AbiToken::Array(vec![provider_token(), provider_token()]), uint_token(2_u64)];
    let answer = encode(&page);
    let list = Interface::Registry.abi().function("listProviders").unwrap();
    assert_eq!(list.decode_output(&answer).unwrap(), page);
    let mut reader = Reader::new(&answer);
    let providers = reader.tuples(10, ProviderRecord::read).unwrap();
    assert_eq!(reader.u64(), Ok(2));
    let expected = ProviderRecord {
        owner: provider(),
        encryption_key: [1; 32].into(),
        overlay: [2; 32].into(),
        metadata_uri: "bzz://x".into(),
        stake: Xbzz::from_plur(100),
        last_heartbeat: UnixSeconds::new(1000),
        total_jobs: 5,
        successful_jobs: 4,
        active: true,
        max_concurrent_jobs: 3,
    };
    assert_eq!(providers, [expected.clone(), expected.clone()]);
    assert!(expected.is_registered());

    // An encoded list of offers is also the argument of the call that publishes it.
    let published = CONTRACTS.registry().update_offerings(&[offering(), offering()]).data;
    assert_eq!(registry::read_offerings(Reader::new(&published[4..])).unwrap(), [offering(), offering()]);
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(words: Vec<[u8; 32]>, small: Vec<u8>) {
        // Small numbers make offsets and lengths that fit, which whole random words never do.
        let words = words.concat();
        let small: Vec<u8> = small.into_iter().flat_map(|byte| [&[0; 31][..], &[byte]].concat()).collect();
        for data in [words, small] {
            let _ = read_terms(Reader::new(&data));
            let _ = registry::read_offerings(Reader::new(&data));
            let _ = Reader::new(&data).tuples(10, ProviderRecord::read);
        }
    }
}
