//! PSS topics: where a wallet listens.

use t4t_types::{Address, keccak256};

/// The topic that a provider listens on for jobs: `t4t:provider:0x…`, lower case.
pub fn provider_topic(provider: Address) -> String {
    format!("t4t:provider:{}", provider.to_lowercase())
}

/// The topic that a gateway listens on for answers: `t4t:client:0x…`, lower case.
pub fn client_topic(client: Address) -> String {
    format!("t4t:client:{}", client.to_lowercase())
}

/// The topic of the feed in which a provider says what it can do. Its wallet owns the feed, and the registration's
/// `metadataURI` leads to it.
pub fn provider_feed() -> [u8; 32] {
    keccak256("t4t:provider-feed:1")
}

/// A topic as it stands in the path of Bee's API: 64 hexadecimal digits of its Keccak-256, no `0x`.
///
/// Bee hashes these digits, as text, once more. That is its business; what matters is that both sides pass the same.
pub fn path_topic(topic: &str) -> String {
    hex::encode(keccak256(topic))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_reference_vectors_hold() {
        let vectors: Value = serde_json::from_str(include_str!("../vectors/topics.json")).unwrap();
        for vector in vectors["vectors"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let address: Address = text("address").parse().unwrap();
            let topics = [provider_topic(address), client_topic(address)];
            assert!(topics.iter().any(|topic| topic == text("topicString")), "{topics:?}");
            assert_eq!(path_topic(text("topicString")), text("pathTopic"));
            // Bee's own step, to show that it starts from the digits and not from the bytes.
            assert_eq!(format!("0x{}", path_topic(text("pathTopic"))), text("beeInternalTopic"));
        }
    }
}
