//! Identifiers of 32 bytes. Each is its own type, so that one can't stand where another belongs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not 32 bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, got {got:?}")]
pub struct ParseBytes32Error {
    /// The text as given, shortened to 80 characters.
    pub got: String,
}

fn parse(text: &str) -> Result<[u8; 32], ParseBytes32Error> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0; 32];
    match hex::decode_to_slice(digits, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(ParseBytes32Error { got: text.chars().take(80).collect() }),
    }
}

/// Defines one 32-byte identifier; `prefix` is what its text form begins with ("0x" or nothing).
macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// All bytes zero.
            pub const ZERO: Self = Self([0; 32]);

            /// Wraps the raw bytes.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Whether every byte is zero.
            pub fn is_zero(&self) -> bool {
                self.0 == [0; 32]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseBytes32Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text).map(Self)
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

bytes32!(
    /// A job's id on the chain: `keccak256(abi.encode(chainid, escrow, client, counter))`. Text form `0x…`.
    JobId,
    "0x"
);
bytes32!(
    /// A payment channel's id: the EIP-712 digest of what makes the channel. Text form `0x…`.
    ChannelId,
    "0x"
);
bytes32!(
    /// Tells payment channels apart that are equal otherwise. Text form `0x…`.
    ChannelSalt,
    "0x"
);
bytes32!(
    /// What a voucher is paid for, as payer and provider agree. Text form `0x…`.
    VoucherContext,
    "0x"
);
bytes32!(
    /// A job's id in version-1 messages: `keccak256` of the 32 raw bytes of the request's Swarm reference. Text form
    /// `0x…`.
    RoutingId,
    "0x"
);
bytes32!(
    /// The address of content in Swarm. Text form: 64 digits, no `0x`.
    SwarmRef,
    ""
);
bytes32!(
    /// A node's address in Swarm. Text form `0x…`, as in version-1 messages.
    Overlay,
    "0x"
);
bytes32!(
    /// The X coordinate of a secp256k1 public key with even Y, to which payloads are sealed. Text form `0x…`.
    EncryptionKey,
    "0x"
);
bytes32!(
    /// A postage batch in Swarm. Text form: 64 digits, no `0x`.
    BatchId,
    ""
);
bytes32!(
    /// A transaction's hash. Text form `0x…`.
    TxHash,
    "0x"
);
bytes32!(
    /// One request of an app, whatever number of jobs it takes to answer it. Random, made at the gateway's edge or
    /// derived from the app's idempotency key. Text form: 64 digits, no `0x`.
    RequestId,
    ""
);

impl SwarmRef {
    /// The id that version-1 messages use for the job whose request lies at this reference.
    pub fn routing_id(&self) -> RoutingId {
        RoutingId(crate::keccak256(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            prop_assert_eq!(JobId::new(bytes).to_string().parse(), Ok(JobId::new(bytes)));
            prop_assert_eq!(SwarmRef::new(bytes).to_string().parse(), Ok(SwarmRef::new(bytes)));
        }

        #[test]
        fn any_text_parses_or_is_refused(text in ".*") {
            let _: Result<JobId, _> = text.parse();
        }
    }

    #[test]
    fn references_have_no_prefix_and_job_ids_have_one() {
        assert!(JobId::ZERO.to_string().starts_with("0x"));
        assert_eq!(SwarmRef::ZERO.to_string(), "0".repeat(64));
    }
}
