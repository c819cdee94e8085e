//! The captured vectors, EIP-712's own example, and what must hold for any signature.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::WalletKey;

const SIGNING: &str = include_str!("../../../protocol/vectors/signing.json");

fn digits32(text: &str) -> [u8; 32] {
    hex::decode(text.trim_start_matches("0x")).unwrap().try_into().unwrap()
}

fn wallet() -> WalletKey {
    WalletKey::from_bytes(&[7; 32]).unwrap()
}

/// The same signature with the other s: what a stranger can make of any signature.
fn malleated(signature: &Signature) -> [u8; 65] {
    let mut scalar = secp256k1::SecretKey::from_secret_bytes(*signature.s()).unwrap().negate();
    let mut bytes = signature.to_bytes();
    bytes[32..64].copy_from_slice(scalar.as_secret_bytes());
    bytes[64] = 27 + (1 - signature.recovery_id());
    scalar.non_secure_erase();
    bytes
}

#[test]
fn the_reference_vectors_hold() {
    let vectors: Value = serde_json::from_str(SIGNING).unwrap();
    let key = WalletKey::parse(vectors["walletKey"].as_str().unwrap()).unwrap();
    assert_eq!(key.address().to_string(), vectors["address"].as_str().unwrap());
    for vector in vectors["vectors"].as_array().unwrap() {
        let canonical = vector["canonical"].as_str().unwrap().as_bytes();
        assert_eq!(message_digest(canonical), digits32(vector["eip191Digest"].as_str().unwrap()));
        let signature = key.sign_message(canonical);
        assert_eq!(signature.to_string(), vector["sig"].as_str().unwrap());
        assert_eq!(recover_message(canonical, &signature), Ok(key.address()));
    }
}

#[test]
fn the_example_of_eip_712_is_reproduced() {
    let key = WalletKey::from_bytes(&keccak256("cow")).unwrap();
    let domain = digits32("f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f");
    let mail = digits32("c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e");
    let digest = digits32("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    assert_eq!(typed_digest(&domain, &mail), digest);
    let signature = key.sign_typed(&domain, &mail);
    assert_eq!(
        signature.to_string(),
        "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d\
         07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    );
    assert_eq!(recover_digest(&digest, &signature), Ok(key.address()));
}

#[test]
fn other_spellings_of_a_signature_are_read_as_the_same_one() {
    let signature = wallet().sign_message(b"hello");
    let mut zero_based = signature.to_bytes();
    zero_based[64] -= 27;
    let mut high_zero_based = malleated(&signature);
    high_zero_based[64] -= 27;
    for bytes in [signature.to_bytes(), zero_based, malleated(&signature), high_zero_based] {
        assert_eq!(Signature::from_bytes(&bytes), Ok(signature));
    }
}

#[test]
fn numbers_out_of_range_and_other_vs_are_refused() {
    let good = wallet().sign_message(b"hello").to_bytes();
    for v in [2, 3, 26, 29, 30, 35, 255] {
        let mut bytes = good;
        bytes[64] = v;
        assert_eq!(Signature::from_bytes(&bytes), Err(CryptoError::MalformedSignature), "v = {v}");
    }
    for half in [0..32, 32..64] {
        let mut bytes = good;
        bytes[half].fill(0xff);
        assert_eq!(Signature::from_bytes(&bytes), Err(CryptoError::MalformedSignature));
    }
}

#[test]
fn a_signature_of_zeros_recovers_nobody() {
    let mut bytes = [0; 65];
    bytes[64] = 27;
    let recovered = Signature::from_bytes(&bytes).and_then(|zero| recover_message(b"hello", &zero));
    assert_eq!(recovered, Err(CryptoError::UnrecoverableSignature));
}

#[test]
fn json_and_text_forms_agree() {
    let signature = wallet().sign_message(b"hello");
    let json = serde_json::to_string(&signature).unwrap();
    assert_eq!(json, format!("\"{signature}\""));
    assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
}

#[test]
fn neither_debug_nor_errors_show_a_wallets_secret() {
    let key = wallet();
    let secret = hex::encode(*key.secret_bytes());
    let refused = WalletKey::parse(&secret).unwrap_err();
    let shown = format!("{key:?} {refused:?} {refused}");
    assert!(!shown.contains(&secret), "{shown}");
    assert!(shown.contains(&key.address().to_string()));
}

#[test]
fn secrets_outside_the_order_are_refused() {
    for bytes in [[0; 32], [0xff; 32]] {
        assert_eq!(WalletKey::from_bytes(&bytes).unwrap_err(), CryptoError::InvalidSecretKey);
    }
    assert_ne!(WalletKey::generate().unwrap().address(), WalletKey::generate().unwrap().address());
}

proptest! {
    #[test]
    fn any_message_is_recovered_to_its_signer(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let signature = wallet().sign_message(&message);
        prop_assert_eq!(recover_message(&message, &signature), Ok(wallet().address()));
        prop_assert_eq!(signature.to_string().parse(), Ok(signature));
        let high = Signature::from_bytes(&malleated(&signature)).unwrap();
        prop_assert_eq!(recover_message(&message, &high), Ok(wallet().address()));
    }

    #[test]
    fn any_bytes_are_a_signature_or_refused(half in prop::array::uniform32(any::<u8>()), other in prop::array::uniform32(any::<u8>()), v: u8) {
        let mut bytes = [v; 65];
        bytes[..32].copy_from_slice(&half);
        bytes[32..64].copy_from_slice(&other);
        if let Ok(signature) = Signature::from_bytes(&bytes) {
            let _: Result<Address, _> = recover_digest(&half, &signature);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(0x)?[0-9a-f]{64}|0x[0-9a-f]{130}|.*") {
        let _: Result<Signature, _> = text.parse();
        let _: Result<WalletKey, _> = WalletKey::parse(&text);
    }
}
