//! Keys, key files, signatures and sealed payloads.
//!
//! Owns every secret of the house and the arithmetic on it: the wallet's key and its EIP-191 and EIP-712 signatures,
//! the key that payloads are sealed to (`t4t-ecies-v1`), and the files both live in. Secrets are erased when they are
//! dropped and have no text form but the one written to a key file.

mod error;
pub mod keyfile;
mod random;
mod sealed;
mod sealing;
mod secret;
mod signature;
mod wallet;

pub use error::CryptoError;
pub use random::random_bytes;
pub use sealed::SEALING_OVERHEAD;
pub use sealing::{SealingKey, seal};
pub use signature::{Signature, message_digest, recover_digest, recover_message, typed_digest};
pub use wallet::WalletKey;
