//! Captured payloads, opened and written again.

use proptest::prelude::*;
use serde_json::Value;
use t4t_crypto::{SealingKey, seal};
use t4t_types::SwarmRef;

use super::*;

const CAPTURED: &str = include_str!("../../vectors/payloads.json");
const ROUTING: &str = include_str!("../../vectors/routing-id.json");

fn open(vectors: &Value, part: &str, key: &str) -> Vec<u8> {
    let key = SealingKey::parse(vectors[key].as_str().unwrap()).unwrap();
    let sealed = hex::decode(vectors[part]["ciphertext"].as_str().unwrap()).unwrap();
    key.open(&sealed).unwrap().to_vec()
}

#[test]
fn a_captured_request_comes_out_the_same_again() {
    let vectors: Value = serde_json::from_str(CAPTURED).unwrap();
    let json = open(&vectors, "request", "providerPssPrivateKey");
    let request = RequestPayload::parse(json.clone().into()).unwrap();
    assert_eq!(request.to_json(), json);
    assert_eq!(request.model_id.as_str(), "mock-7b");
    let openai: Value = serde_json::from_str(request.openai_request.as_str()).unwrap();
    assert_eq!(openai["messages"][0]["content"], "héllo \"quoted\" \u{2028} world");
    let gateway = SealingKey::parse(vectors["gatewayPssPrivateKey"].as_str().unwrap()).unwrap();
    assert_eq!(request.client_key, gateway.public());
}

#[test]
fn a_captured_answer_comes_out_the_same_again_and_names_its_job() {
    let vectors: Value = serde_json::from_str(CAPTURED).unwrap();
    let json = open(&vectors, "response", "gatewayPssPrivateKey");
    let response = ResponsePayload::parse(json.clone().into()).unwrap();
    assert_eq!(response.to_json(), json);
    let reference: SwarmRef = vectors["request"]["reference"].as_str().unwrap().parse().unwrap();
    assert_eq!(response.job_id, reference.routing_id());
}

#[test]
fn routing_ids_are_those_of_the_reference() {
    let vectors: Value = serde_json::from_str(ROUTING).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let reference: SwarmRef = vector["requestHash"].as_str().unwrap().parse().unwrap();
        assert_eq!(reference.routing_id().to_string(), vector["routingId"].as_str().unwrap());
    }
}

fn request(openai_request: &str) -> RequestPayload {
    RequestPayload {
        v: V1,
        job_id: [5; 32],
        client: Address::new([6; 20]),
        model_id: "m".parse().unwrap(),
        openai_request: RawValue::from_string(openai_request.to_owned()).unwrap().into(),
        client_key: EncryptionKey::new([7; 32]),
        ts: UnixSeconds::new(1),
    }
}

#[test]
fn the_apps_json_passes_through_untouched() {
    let text = r#"{"z":1.0,"a":1e2, "n":123456789012345678901234567890, "s":"\ud800 é", "z":2}"#;
    let parsed = RequestPayload::parse(request(text).to_json().into()).unwrap();
    assert_eq!(parsed.openai_request.as_str(), text);
}

#[test]
fn debug_shows_no_word_of_a_prompt_or_an_answer() {
    let request = request(r#"{"messages":"a secret"}"#);
    let response = ResponsePayload {
        v: V1,
        job_id: RoutingId::ZERO,
        provider: Address::ZERO,
        openai_response: request.openai_request.clone(),
        ts: UnixSeconds::new(1),
    };
    assert!(!format!("{request:?} {response:?}").contains("secret"));
}

#[test]
fn payloads_of_another_version_or_without_a_field_are_refused() {
    let good = String::from_utf8(request("{}").to_json()).unwrap();
    for (from, to) in
        [("\"v\":1", "\"v\":2"), ("\"v\":1,", ""), ("\"ts\":1", "\"ts\":-1"), ("\"0x05", "\"05")]
    {
        let bad = good.replacen(from, to, 1);
        assert!(
            matches!(RequestPayload::parse(bad.clone().into_bytes().into()), Err(PayloadError::Malformed(_))),
            "{bad}"
        );
    }
}

#[test]
fn deep_and_huge_payloads_are_refused_before_they_are_read() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deepest = request(&nested(MAX_JSON_DEPTH - 1)).to_json();
    assert!(RequestPayload::parse(deepest.into()).is_ok());
    for depth in [MAX_JSON_DEPTH, 100_000] {
        let json = request(&nested(depth)).to_json();
        assert!(matches!(RequestPayload::parse(json.clone().into()), Err(PayloadError::TooDeep)));
    }
    let huge = vec![b' '; MAX_PAYLOAD_BYTES + 1];
    assert!(matches!(ResponsePayload::parse(huge.into()), Err(PayloadError::TooLarge { .. })));
}

#[test]
fn a_swarm_of_small_values_is_refused_before_it_is_read() {
    let swarm = |count: usize| format!(r#"{{"messages":[{}0]}}"#, r#"{"text":""},"#.repeat(count));
    assert!(RequestPayload::parse(request(&swarm(10_000)).to_json().into()).is_ok());
    let json = request(&swarm(1_000_000)).to_json();
    assert!(matches!(RequestPayload::parse(json.clone().into()), Err(PayloadError::TooMany { .. })));
    let text = format!(r#"{{"content":"{}"}}"#, "{[,".repeat(1_000_000));
    assert!(
        RequestPayload::parse(request(&text).to_json().into()).is_ok(),
        "commas in strings are no values"
    );
}

#[test]
fn brackets_in_strings_are_no_depth() {
    let text = format!(r#"{{"content":"{} \" {} \\"}}"#, "[".repeat(1000), "{".repeat(1000));
    assert!(RequestPayload::parse(request(&text).to_json().into()).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_a_payload_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _: Result<RequestPayload, _> = RequestPayload::parse(bytes.clone().into());
        let _: Result<ResponsePayload, _> = ResponsePayload::parse(bytes.into());
    }

    #[test]
    fn any_prompt_survives_sealing(prompt in ".{0,200}") {
        let key = SealingKey::from_bytes(&[2; 32]).or_else(|_| SealingKey::from_bytes(&[3; 32])).unwrap();
        let sent = request(&serde_json::to_string(&serde_json::json!({"content": prompt})).unwrap());
        let opened = key.open(&seal(&key.public(), &sent.to_json()).unwrap()).unwrap();
        prop_assert_eq!(RequestPayload::parse(opened.to_vec().into()).unwrap().to_json(), sent.to_json());
    }
}
