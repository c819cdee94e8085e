//! Envelopes as they come from Swarm: as they are, and signed around any body by whoever has a wallet.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use t4t_crypto::WalletKey;
use t4t_protocol::{EnvelopeError, MessageKind, UnsignedEnvelope, parse_and_verify};
use t4t_types::{Address, UnixSeconds};

static KEY: LazyLock<WalletKey> = LazyLock::new(|| WalletKey::from_bytes(&[7; 32]).expect("a valid key"));

const TS: UnixSeconds = UnixSeconds::new(1_800_000_000);

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = parse_and_verify(data) {
        let _ = envelope.is_fresh(TS);
    }
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    for kind in [MessageKind::JobNotify, MessageKind::JobAck, MessageKind::JobDeliver] {
        signed(kind, &body);
    }
});

/// What a wallet signed is taken as signed by it, whatever it says.
fn signed(kind: MessageKind, body: &Value) {
    let Ok(unsigned) = UnsignedEnvelope::new(kind, KEY.address(), Address::ZERO, TS, [1; 16], body) else {
        return;
    };
    let bytes = unsigned.with_signature(KEY.sign_message(unsigned.signing_text().as_bytes()));
    match parse_and_verify(&bytes) {
        Ok(envelope) => assert_eq!((envelope.from, envelope.ts), (KEY.address(), TS)),
        // The message may make no sense; that it was signed is certain.
        Err(EnvelopeError::WrongSigner { .. }) => panic!("our own signature was not recognised"),
        Err(_) => {}
    }
}
