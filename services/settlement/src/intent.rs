//! What a transaction is to do: what callers may ask for, and what is decided here alone.

use serde::{Deserialize, Serialize};
use t4t_api::settlement::TransactionIntent;
use t4t_types::{Address, Xbzz};

/// What a transaction is to do, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Intent {
    /// What a caller asked for.
    Asked(TransactionIntent),
    /// What no message can ask for.
    Own(OwnIntent),
}

/// What no message can ask for: it is decided by settlement itself, or by whoever runs it in their own process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub(crate) enum OwnIntent {
    /// Lets a contract take xBZZ from this wallet.
    Approve {
        /// The contract.
        spender: Address,
        /// Up to how much.
        amount: Xbzz,
    },
    /// Sends money away.
    Send(SendFunds),
}

/// Which token to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// The chain's own coin, which pays for gas.
    Xdai,
    /// The token that everything is paid in.
    Xbzz,
}

/// Money to be sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFunds {
    /// Which token.
    pub token: Token,
    /// To whom.
    pub to: Address,
    /// How much, in the token's smallest unit (wei or PLUR).
    #[serde(with = "decimal")]
    pub amount: u128,
}

/// `u128` as a decimal string: a JSON number would lose digits.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str =
        r#"{"intent":"send","token":"xdai","to":"0x7777777777777777777777777777777777777777","amount":"9"}"#;
    const APPROVE: &str =
        r#"{"intent":"approve","spender":"0x7777777777777777777777777777777777777777","amount":"7"}"#;

    #[test]
    fn what_is_stored_reads_as_it_was_written_and_no_message_can_hold_it() {
        for text in [SEND, APPROVE] {
            let intent: Intent = serde_json::from_str(text).unwrap();
            assert!(matches!(intent, Intent::Own(_)), "{text}");
            assert_eq!(serde_json::to_string(&intent).unwrap(), text);
            assert!(
                serde_json::from_str::<TransactionIntent>(text).is_err(),
                "a message could ask for {text}"
            );
        }
        let heartbeat: Intent = serde_json::from_str(r#"{"intent":"heartbeat"}"#).unwrap();
        assert_eq!(heartbeat, Intent::Asked(TransactionIntent::Heartbeat));
        assert_eq!(serde_json::to_string(&heartbeat).unwrap(), r#"{"intent":"heartbeat"}"#);
    }
}
