//! Sealed payloads as they come from Swarm, and what becomes of a sealed one that was tampered with.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use t4t_crypto::{SealingKey, seal};
use t4t_types::EncryptionKey;

/// The keys of the vectors' gateway and provider would do as well; this one opens none of the seeds.
static KEY: LazyLock<SealingKey> = LazyLock::new(|| SealingKey::from_bytes(&[9; 32]).expect("a valid key"));

static SEALED: LazyLock<Vec<u8>> =
    LazyLock::new(|| seal(&KEY.public(), b"a short request").expect("a valid key seals"));

fuzz_target!(|data: &[u8]| {
    let _ = KEY.open(data);
    if let Some(key) = data.first_chunk::<32>() {
        // Whatever a provider published as its key.
        let _ = seal(&EncryptionKey::new(*key), data);
        let _ = SealingKey::from_bytes(key);
    }
    let mut tampered = SEALED.clone();
    for (byte, change) in tampered.iter_mut().zip(data) {
        *byte ^= change;
    }
    if tampered != *SEALED {
        // The sign of the ephemeral point is no part of the secret, and of what is authenticated.
        let same_point = tampered[1..] == SEALED[1..];
        assert!(KEY.open(&tampered).is_err() || same_point, "a tampered payload was opened");
    }
});
