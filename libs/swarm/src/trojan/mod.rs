//! Trojan chunks: messages that look like any chunk and travel to a neighbourhood of the network.
//!
//! A chunk is `hint8 ‖ nonce32 ‖ ephemeral X32 ‖ ciphertext4032`. The hint stands where the span stands in other
//! chunks; the nonce is mined until the chunk's address begins as the recipient's does.

mod cipher;
mod keys;
mod mining;

use secp256k1::PublicKey;
use t4t_types::keccak256;

pub use keys::{ParseKeyError, PssPublicKey, PssSecretKey};
pub use mining::{Mined, Target, TargetError};

use crate::chunk::{PAYLOAD_BYTES, SPAN_BYTES};

/// Most bytes of a message.
pub const MESSAGE_BYTES: usize = 4000;
/// Bytes of a whole trojan chunk.
pub const TROJAN_BYTES: usize = SPAN_BYTES + PAYLOAD_BYTES;
const NONCE_BYTES: usize = 32;
const INTEGRITY_BYTES: usize = 32;

/// What a message is about, as the chunk's key derivation sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic([u8; 32]);

impl Topic {
    /// The topic that a node makes of the string in an API path: its hash, whatever the string is.
    pub fn of_path(path_topic: &str) -> Self {
        Self(keccak256(path_topic))
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A message that can't be wrapped.
#[derive(Debug, thiserror::Error)]
pub enum WrapError {
    /// The message is longer than a chunk carries.
    #[error("a message holds {MESSAGE_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// The system gave no randomness.
    #[error("no randomness")]
    NoRandomness(#[from] getrandom::Error),
    /// The topic is the zero scalar, to which nothing can be encrypted.
    #[error("the topic has no key")]
    NoTopicKey,
}

/// An encrypted message, ready to be mined for a neighbourhood.
#[derive(Clone, Debug)]
pub struct Wrapped {
    hint: [u8; SPAN_BYTES],
    /// Nonce, ephemeral key, ciphertext.
    payload: Box<[u8; PAYLOAD_BYTES]>,
}

/// Encrypts `message` for `recipient`, or for everyone who knows the topic if there is none.
pub fn wrap(topic: &Topic, recipient: Option<&PssPublicKey>, message: &[u8]) -> Result<Wrapped, WrapError> {
    if message.len() > MESSAGE_BYTES {
        return Err(WrapError::TooLong(message.len()));
    }
    let topic_key = || keys::topic_key(topic).map(|key| key.public_key()).ok_or(WrapError::NoTopicKey);
    let recipient: PublicKey = recipient.map_or_else(topic_key, |key| Ok(key.point()))?;
    let ephemeral = keys::random_key()?;
    let key = cipher::shared_key(&recipient, &ephemeral, topic);

    let mut payload = Box::new([0; PAYLOAD_BYTES]);
    getrandom::fill(&mut payload[..])?;
    let point = ephemeral.public_key().serialize();
    payload[28] = (payload[28] & 0xfe) | (point[0] & 1);
    payload[NONCE_BYTES..NONCE_BYTES + 32].copy_from_slice(&point[1..]);
    let plaintext = [&integrity_of(message)[..], message].concat();
    let ciphertext = &mut payload[NONCE_BYTES + 32..];
    ciphertext[..plaintext.len()].copy_from_slice(&plaintext);
    cipher::apply(&key, &mut ciphertext[..plaintext.len()]);
    Ok(Wrapped { hint: cipher::hint(&key, topic), payload })
}

/// Opens a chunk (`span ‖ payload`) that was sent on `topic`: with the node's key, or with the topic's own.
///
/// `None` for everything else: other topics, other recipients, chunks that are no message at all.
pub fn unwrap(data: &[u8], node_key: Option<&PssSecretKey>, topic: &Topic) -> Option<Vec<u8>> {
    let data: &[u8; TROJAN_BYTES] = data.try_into().ok()?;
    let (hint, payload) = data.split_first_chunk::<SPAN_BYTES>()?;
    let x = payload[NONCE_BYTES..].first_chunk::<32>()?;
    let ephemeral = keys::lift_x(x)?;
    let ciphertext = &payload[NONCE_BYTES + 32..];
    let keys = [node_key.map(|key| *key.scalar()), keys::topic_key(topic)];
    keys.iter().flatten().find_map(|secret| {
        let key = cipher::shared_key(&ephemeral, secret, topic);
        if cipher::hint(&key, topic) == *hint { open(&key, ciphertext) } else { None }
    })
}

fn open(key: &[u8; 32], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let mut head = *ciphertext.first_chunk::<INTEGRITY_BYTES>()?;
    cipher::apply(key, &mut head);
    let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
    if length > MESSAGE_BYTES {
        return None;
    }
    let mut plaintext = ciphertext.get(..INTEGRITY_BYTES + length)?.to_vec();
    cipher::apply(key, &mut plaintext);
    let message = plaintext.split_off(INTEGRITY_BYTES);
    (integrity_of(&message) == head).then_some(message)
}

/// The message's hash, its first two bytes replaced by the message's length.
fn integrity_of(message: &[u8]) -> [u8; INTEGRITY_BYTES] {
    let mut integrity = keccak256(message);
    let length = u16::try_from(message.len()).expect("a message has at most 4000 bytes");
    integrity[..2].copy_from_slice(&length.to_be_bytes());
    integrity
}

#[cfg(test)]
mod tests;
