//! Captured envelopes verified and made again, and what must be refused.

use proptest::prelude::*;
use serde_json::{Value, json};
use t4t_crypto::{WalletKey, message_digest};
use t4t_types::{ModelId, Overlay, SwarmRef, Xbzz};

use super::*;
use crate::{JobAck, JobDeliver, JobNotify, client_topic, provider_topic};

const CAPTURED: &str = include_str!("../../vectors/envelopes.json");
const SIGNED: &str = include_str!("../../vectors/signing.json");

fn gateway() -> WalletKey {
    WalletKey::parse("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d").unwrap()
}

fn provider() -> WalletKey {
    WalletKey::parse("0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a").unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name}"))
}

/// Builds the envelope that says what `verified` says.
fn rebuild(verified: &VerifiedEnvelope) -> UnsignedEnvelope {
    let VerifiedEnvelope { from, to, ts, nonce, message } = verified.clone();
    match &message {
        Message::JobNotify(body) => UnsignedEnvelope::new(MessageKind::JobNotify, from, to, ts, nonce, body),
        Message::JobAck(body) => UnsignedEnvelope::new(MessageKind::JobAck, from, to, ts, nonce, body),
        Message::JobDeliver(body) => {
            UnsignedEnvelope::new(MessageKind::JobDeliver, from, to, ts, nonce, body)
        }
        Message::Unknown(name) => panic!("{name}"),
    }
    .unwrap()
}

/// Verifies captured wire bytes, then makes the same bytes from the same fields and key.
fn check_captured(wire: &str, vector: &Value) -> VerifiedEnvelope {
    let verified = parse_and_verify(wire.as_bytes()).unwrap();
    let unsigned = rebuild(&verified);
    assert_eq!(unsigned.signing_text(), text(vector, "canonical"));
    let digest = message_digest(unsigned.signing_text().as_bytes());
    assert_eq!(format!("0x{}", hex::encode(digest)), text(vector, "eip191Digest"));
    let key = [gateway(), provider()].into_iter().find(|key| key.address() == verified.from).unwrap();
    let signature = key.sign_message(unsigned.signing_text().as_bytes());
    assert_eq!(String::from_utf8(unsigned.with_signature(signature)).unwrap(), wire);
    verified
}

#[test]
fn captured_envelopes_verify_and_come_out_the_same_again() {
    let vectors: Value = serde_json::from_str(CAPTURED).unwrap();
    let envelopes = vectors["envelopes"].as_array().unwrap();
    assert!(!envelopes.is_empty());
    for vector in envelopes {
        let verified = check_captured(text(vector, "rawBody"), vector);
        assert_eq!(verified.from.to_string(), text(vector, "recovered"));
        let topics = [provider_topic(verified.to), client_topic(verified.to)];
        assert!(topics.iter().any(|topic| topic == text(vector, "topicString")));
    }
}

#[test]
fn signed_vectors_verify_and_come_out_the_same_again() {
    let vectors: Value = serde_json::from_str(SIGNED).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        check_captured(text(vector, "wire"), vector);
        assert!(text(vector, "wire").contains(text(vector, "sig")));
    }
}

#[test]
fn a_captured_notify_reads_into_domain_types() {
    let vectors: Value = serde_json::from_str(CAPTURED).unwrap();
    let verified = parse_and_verify(text(&vectors["envelopes"][0], "rawBody").as_bytes()).unwrap();
    let Message::JobNotify(notify) = verified.message else { panic!("not a notify") };
    assert_eq!(notify.routing_id, notify.request_hash.routing_id());
    assert_eq!(notify.model_id.as_str(), "mock-7b");
    assert_eq!(notify.max_payment, Xbzz::from_plur(2_079_000_000_000));
    assert_eq!(notify.client_overlay, Overlay::new([0xaa; 32]));
    assert_eq!((notify.reply_url, notify.ext), (None, None));
}

fn notify() -> JobNotify {
    let request_hash = SwarmRef::new([1; 32]);
    JobNotify {
        routing_id: request_hash.routing_id(),
        request_hash,
        model_id: "llama3:8b".parse::<ModelId>().unwrap(),
        max_payment: Xbzz::from_whole(3),
        delivery_deadline: UnixSeconds::new(1_800_000_900),
        client_key: [2; 32].into(),
        client_overlay: [3; 32].into(),
        reply_url: Some("https://gateway.example/inbox".into()),
        ext: Some(json!({"channel": [1, 2.5, "é", null], "Z": true})),
    }
}

const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);

fn envelope_of(kind: MessageKind, body: &impl Serialize) -> UnsignedEnvelope {
    UnsignedEnvelope::new(kind, gateway().address(), provider().address(), NOW, [9; 16], body).unwrap()
}

fn signed(unsigned: &UnsignedEnvelope, key: &WalletKey) -> Vec<u8> {
    unsigned.with_signature(key.sign_message(unsigned.signing_text().as_bytes()))
}

#[test]
fn every_kind_of_message_arrives_as_it_was_sent() {
    let (routing_id, ext) = (notify().routing_id, Some(json!({"eta": 3})));
    let ack = JobAck { routing_id, estimated_completion: NOW.plus(60), ext: ext.clone() };
    let deliver = JobDeliver { routing_id, response_hash: SwarmRef::new([4; 32]), ext };
    let sent = [
        (OutgoingMessage::JobNotify(notify()), Message::JobNotify(notify())),
        (OutgoingMessage::JobAck(ack.clone()), Message::JobAck(ack)),
        (OutgoingMessage::JobDeliver(deliver.clone()), Message::JobDeliver(deliver)),
    ];
    for (outgoing, message) in sent {
        let (from, to) = (gateway().address(), provider().address());
        let unsigned = UnsignedEnvelope::of(&outgoing, from, to, NOW, [9; 16]).unwrap();
        let received = parse_and_verify(&signed(&unsigned, &gateway())).unwrap();
        assert_eq!(received.message, message);
        assert_eq!((received.to, received.nonce, received.ts), (provider().address(), [9; 16], NOW));
    }
}

/// Signs any JSON object as the reference would, field types unchecked.
fn sign_raw(mut envelope: Value) -> Vec<u8> {
    let canonical = canonicalize(&Json::from_serializable(&envelope).unwrap());
    envelope["sig"] = json!(gateway().sign_message(canonical.as_bytes()));
    serde_json::to_vec(&envelope).unwrap()
}

fn raw_ack() -> Value {
    json!({
        "v": 1, "type": "job_ack", "from": gateway().address(), "to": provider().address(), "ts": 1_800_000_000,
        "nonce": "0x000102030405060708090a0b0c0d0e0f",
        "body": {"jobId": notify().routing_id, "estimatedCompletion": 1_800_000_060},
    })
}

#[test]
fn unknown_fields_are_covered_by_the_signature_and_passed_over() {
    let mut envelope = raw_ack();
    envelope["future"] = json!({"b": [1e21, -0.0], "a": "é"});
    envelope["body"]["chainId"] = json!(100);
    let wire = sign_raw(envelope);
    assert!(matches!(parse_and_verify(&wire).unwrap().message, Message::JobAck(_)));
    let altered = String::from_utf8(wire).unwrap().replace("\"chainId\":100", "\"chainId\":101");
    assert!(parse_and_verify(altered.as_bytes()).is_err());
}

#[test]
fn a_message_of_another_version_of_the_future_is_named_and_not_refused() {
    let mut envelope = raw_ack();
    envelope["type"] = json!("job_chunk");
    envelope["body"] = json!({"anything": [1]});
    let received = parse_and_verify(&sign_raw(envelope)).unwrap();
    assert_eq!(received.message, Message::Unknown("job_chunk".into()));
}

#[test]
fn lower_case_addresses_verify_as_the_reference_says() {
    let mut envelope = raw_ack();
    envelope["from"] = json!(gateway().address().to_lowercase());
    assert_eq!(parse_and_verify(&sign_raw(envelope)).unwrap().from, gateway().address());
}

#[test]
fn fields_of_the_wrong_type_are_refused_though_they_are_signed() {
    let wrong = [
        ("v", json!(2)),
        ("v", json!("1")),
        ("v", json!(true)),
        ("v", json!(null)),
        ("type", json!(1)),
        ("from", json!("me")),
        ("from", json!(7)),
        ("to", json!(null)),
        ("to", json!("0x")),
        ("ts", json!(-1)),
        ("ts", json!(1.5)),
        ("ts", json!("1800000000")),
        ("ts", json!(1e300)),
        ("nonce", json!("0x00")),
        ("nonce", json!(5)),
        ("nonce", json!("000102030405060708090a0b0c0d0e0f")),
        ("body", json!([])),
        ("body", json!("x")),
        ("body", json!({})),
        ("body", json!({"jobId": 1})),
    ];
    for (field, value) in wrong {
        let mut envelope = raw_ack();
        envelope[field] = value;
        let refused = parse_and_verify(&sign_raw(envelope.clone()));
        assert!(matches!(refused, Err(EnvelopeError::Malformed(_))), "{envelope}: {refused:?}");
    }
}

#[test]
fn every_missing_field_is_refused() {
    for field in ["v", "type", "from", "to", "ts", "nonce", "body"] {
        let mut envelope = raw_ack();
        envelope.as_object_mut().unwrap().remove(field);
        assert!(parse_and_verify(&sign_raw(envelope)).is_err(), "{field}");
    }
    assert!(parse_and_verify(&serde_json::to_vec(&raw_ack()).unwrap()).is_err());
}

#[test]
fn payments_that_are_no_decimal_string_are_refused() {
    let too_large = "9".repeat(60);
    for payment in
        [json!(5), json!("0x5"), json!("-5"), json!(""), json!("1.5"), json!(" 5"), json!(too_large)]
    {
        let mut envelope = raw_ack();
        envelope["type"] = json!("job_notify");
        envelope["body"] = serde_json::to_value(notify()).unwrap();
        envelope["body"]["maxPayment"] = payment;
        assert!(matches!(parse_and_verify(&sign_raw(envelope)), Err(EnvelopeError::Malformed(_))));
    }
}

#[test]
fn an_envelope_signed_by_another_wallet_names_both() {
    let wire = signed(&envelope_of(MessageKind::JobNotify, &notify()), &provider());
    let Err(EnvelopeError::WrongSigner { claimed, signer }) = parse_and_verify(&wire) else {
        panic!("verified")
    };
    assert_eq!((claimed, signer), (gateway().address(), provider().address()));
}

#[test]
fn envelopes_above_the_limit_are_neither_made_nor_read() {
    let huge = "x".repeat(MAX_ENVELOPE_BYTES);
    let body = json!({"ext": huge});
    let (from, to) = (gateway().address(), provider().address());
    let made = UnsignedEnvelope::new(MessageKind::JobAck, from, to, NOW, [0; 16], &body);
    assert!(matches!(made, Err(EnvelopeError::TooLarge { .. })));
    assert!(matches!(parse_and_verify(huge.as_bytes()), Ok(_) | Err(EnvelopeError::Json(_))));
    assert!(matches!(parse_and_verify(format!("{huge} ").as_bytes()), Err(EnvelopeError::TooLarge { .. })));
}

#[test]
fn a_body_that_is_no_object_is_not_put_in_an_envelope() {
    let (from, to) = (gateway().address(), provider().address());
    let made = UnsignedEnvelope::new(MessageKind::JobAck, from, to, NOW, [0; 16], "text");
    assert!(matches!(made, Err(EnvelopeError::Malformed(_))));
}

#[test]
fn an_envelope_is_fresh_for_two_minutes_either_way() {
    let received = parse_and_verify(&sign_raw(raw_ack())).unwrap();
    let fresh = |now: u64| received.is_fresh(UnixSeconds::new(now));
    assert!(fresh(1_800_000_000) && fresh(1_800_000_120) && fresh(1_799_999_880));
    assert!(!fresh(1_800_000_121) && !fresh(1_799_999_879) && !fresh(0) && !fresh(u64::MAX));
}

#[test]
fn a_real_notify_fits_through_pss() {
    assert!(signed(&envelope_of(MessageKind::JobNotify, &notify()), &gateway()).len() < crate::MAX_PSS_BYTES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_changed_byte_anywhere_is_refused_or_changes_nothing(at: prop::sample::Index, byte: u8) {
        let unsigned = envelope_of(MessageKind::JobNotify, &notify());
        let mut wire = signed(&unsigned, &gateway());
        let original = parse_and_verify(&wire).unwrap();
        let at = at.index(wire.len());
        wire[at] = byte;
        // Hexadecimal digits of the signature may change case, for one.
        if let Ok(received) = parse_and_verify(&wire) {
            prop_assert_eq!(received, original);
        }
    }

    #[test]
    fn any_bytes_are_an_envelope_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _: Result<VerifiedEnvelope, _> = parse_and_verify(&bytes);
    }

    #[test]
    fn any_payment_deadline_and_extension_arrive(plur: u128, deadline in 0..=JsNumber::MAX_SAFE_INTEGER, ext in ".{0,40}") {
        let body = JobNotify {
            max_payment: Xbzz::from_plur(plur),
            delivery_deadline: UnixSeconds::new(deadline),
            ext: Some(json!({ext.clone(): ext})),
            ..notify()
        };
        let received = parse_and_verify(&signed(&envelope_of(MessageKind::JobNotify, &body), &gateway())).unwrap();
        prop_assert_eq!(received.message, Message::JobNotify(body));
    }
}
