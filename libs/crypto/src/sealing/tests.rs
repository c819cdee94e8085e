//! The captured vectors, and what must hold for any payload.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::sealed::TAG_BYTES;

const ECIES: &str = include_str!("../../../protocol/vectors/ecies.json");
const PAYLOADS: &str = include_str!("../../../protocol/vectors/payloads.json");

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(vector, name).trim_start_matches("0x")).unwrap()
}

fn array<const N: usize>(vector: &Value, name: &str) -> [u8; N] {
    bytes(vector, name).try_into().unwrap()
}

fn key(byte: u8) -> SealingKey {
    SealingKey::derive(&WalletKey::from_bytes(&[byte; 32]).unwrap())
}

/// Opens a captured ciphertext, then makes the same bytes again from its ephemeral point, its IV and its plaintext.
fn check_captured(vector: &Value, key: &SealingKey) {
    let sealed = bytes(vector, "ciphertext");
    let plaintext = text(vector, "plaintext_utf8").as_bytes();
    assert_eq!(key.open(&sealed).unwrap().as_slice(), plaintext);

    let ephemeral = PublicKey::from_slice(&bytes(vector, "ephemeralPubCompressed")).unwrap();
    let shared = shared_x(&ephemeral, &key.secret);
    assert_eq!(*shared, array(vector, "ecdhX"));
    assert_eq!(*derive_key(None, shared.as_slice(), PAYLOAD_INFO), array(vector, "aesKey"));
    let again = assemble(&ephemeral, &shared, &array(vector, "iv"), plaintext).unwrap();
    assert_eq!(again, sealed);
    assert_eq!(again[again.len() - TAG_BYTES..], bytes(vector, "gcmTag"));
}

#[test]
fn the_reference_opens_to_the_same_bytes_and_seals_to_them() {
    let vectors: Value = serde_json::from_str(ECIES).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let key = SealingKey::parse(text(vector, "recipientPrivateKey")).unwrap();
        assert_eq!(key.public().to_string(), text(vector, "recipientPublicKeyX"));
        check_captured(vector, &key);
    }
}

#[test]
fn both_payloads_of_a_captured_job_open() {
    let vectors: Value = serde_json::from_str(PAYLOADS).unwrap();
    check_captured(&vectors["request"], &SealingKey::parse(text(&vectors, "providerPssPrivateKey")).unwrap());
    check_captured(&vectors["response"], &SealingKey::parse(text(&vectors, "gatewayPssPrivateKey")).unwrap());
}

#[test]
fn a_wallet_derives_the_key_that_the_reference_derives() {
    let vectors: Value = serde_json::from_str(ECIES).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let wallet = WalletKey::parse(text(vector, "derivedFromWalletKey")).unwrap();
        let key = SealingKey::derive(&wallet);
        assert_eq!(format!("0x{}", *key.to_text()), text(vector, "recipientPrivateKey"));
    }
}

#[test]
fn a_key_whose_point_has_odd_y_is_refused() {
    let even = key(1);
    let odd = even.secret.as_key().negate();
    assert_eq!(SealingKey::from_bytes(odd.as_secret_bytes()).unwrap_err(), CryptoError::OddPublicKey);
}

#[test]
fn sealing_to_a_value_that_is_no_point_is_an_error() {
    // 5 is the smallest number that is no X coordinate; the field's prime is no coordinate at all.
    let mut five = [0; 32];
    five[31] = 5;
    for bytes in [five, [0xff; 32], [0; 32]] {
        let to = EncryptionKey::new(bytes);
        assert_eq!(seal(&to, b"x"), Err(CryptoError::NotAPoint(to)));
    }
}

#[test]
fn sealing_twice_gives_two_different_texts() {
    let to = key(1).public();
    assert_ne!(seal(&to, b"x").unwrap(), seal(&to, b"x").unwrap());
}

#[test]
fn a_generated_key_opens_what_is_sealed_to_it_and_no_other_does() {
    let key = SealingKey::generate().unwrap();
    let sealed = seal(&key.public(), b"prompt").unwrap();
    assert_eq!(key.open(&sealed).unwrap().as_slice(), b"prompt");
    assert_eq!(self::key(7).open(&sealed).unwrap_err(), CryptoError::NotOpened);
}

#[test]
fn what_is_too_short_to_be_sealed_says_so() {
    let sealed = seal(&key(1).public(), b"").unwrap();
    assert_eq!(sealed.len(), SEALING_OVERHEAD);
    let short = &sealed[..SEALING_OVERHEAD - 1];
    assert_eq!(key(1).open(short).unwrap_err(), CryptoError::SealedTooShort { got: 60 });
}

#[test]
fn neither_debug_nor_errors_show_the_secret() {
    let key = key(1);
    let shown = format!("{key:?} {:?}", SealingKey::parse("0xzz").unwrap_err());
    assert!(!shown.contains(key.to_text().as_str()), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_payload_round_trips(payload in prop::collection::vec(any::<u8>(), 0..6000)) {
        let key = key(1);
        let sealed = seal(&key.public(), &payload).unwrap();
        prop_assert_eq!(sealed.len(), payload.len() + SEALING_OVERHEAD);
        prop_assert_eq!(key.open(&sealed).unwrap().to_vec(), payload);
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        at: prop::sample::Index,
    ) {
        let key = key(1);
        let mut sealed = seal(&key.public(), &payload).unwrap();
        let bit = at.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        // The parity bit of the ephemeral point alone changes nothing: only the X coordinate of the product counts.
        if bit != 0 {
            prop_assert_eq!(key.open(&sealed).unwrap_err(), CryptoError::NotOpened);
        }
    }

    #[test]
    fn any_bytes_are_opened_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), prefix in 0..5_u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = prefix;
        }
        prop_assert!(key(1).open(&bytes).is_err());
    }

    #[test]
    fn any_text_is_a_key_or_refused(text in "(0x)?[0-9a-fA-F]{60,66}|.*") {
        let _: Result<SealingKey, _> = SealingKey::parse(&text);
    }
}
