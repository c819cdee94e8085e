//! A job and an offer as the contracts hold them.

use serde::{Deserialize, Serialize};

use crate::{Address, SwarmRef, TokenPrices, UnixSeconds, Xbzz};

/// How far a job is on the chain. The numbers are the contract's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// There is no such job.
    #[default]
    None,
    /// Its payment is in escrow.
    Pending,
    /// The provider acknowledged it.
    Acked,
    /// Declared by the contract and never set.
    Delivered,
    /// The provider was paid, or refused with a claim of nothing.
    Claimed,
    /// The client took the payment back for want of an acknowledgement.
    Cancelled,
    /// The client took the payment back for want of an answer.
    TimedOut,
}

impl JobStatus {
    /// The status with the contract's number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Pending,
            2 => Self::Acked,
            3 => Self::Delivered,
            4 => Self::Claimed,
            5 => Self::Cancelled,
            6 => Self::TimedOut,
            _ => return None,
        })
    }

    /// Whether money is still in escrow for the job.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Acked)
    }
}

/// A job as the escrow contract holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTerms {
    /// Who pays.
    pub client: Address,
    /// Who works.
    pub provider: Address,
    /// Where the sealed request lies.
    pub request_hash: SwarmRef,
    /// Where the sealed answer lies; zero until claimed.
    pub response_hash: SwarmRef,
    /// The model, as the client wrote it; may be any text.
    pub model: String,
    /// What it may cost at most.
    pub max_payment: Xbzz,
    /// When it was posted.
    pub posted_at: UnixSeconds,
    /// When it was acknowledged; zero if it was not.
    pub acked_at: UnixSeconds,
    /// Until when it must be acknowledged.
    pub ack_deadline: UnixSeconds,
    /// Until when it must be claimed.
    pub delivery_deadline: UnixSeconds,
    /// How far it is.
    pub status: JobStatus,
}

impl JobTerms {
    /// Whether this is the job of another request than the one at `request_hash`, to be claimed until
    /// `delivery_deadline`: a reorganisation may give a job's id to another request. Our contract forgets where the
    /// request of a claimed job lies; then the deadline alone tells them apart.
    pub fn is_of_another(&self, request_hash: SwarmRef, delivery_deadline: UnixSeconds) -> bool {
        if self.request_hash.is_zero() {
            return self.delivery_deadline != delivery_deadline;
        }
        self.request_hash != request_hash
    }
}

/// An offer of one model, as the registry holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    /// The model, as the provider wrote it; may be any text.
    pub model: String,
    /// What it costs.
    pub prices: TokenPrices,
    /// The longest context in tokens; 0 if not stated. In JSON a decimal string.
    #[serde(with = "decimal")]
    pub max_context_tokens: u128,
    /// How long an answer takes at most, in seconds, by the provider's word.
    pub max_latency_seconds: u64,
}

/// `u128` as a decimal string: a JSON number would lose digits, and tagged enums hold none of that size.
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

    #[test]
    fn a_claimed_job_is_told_apart_by_its_deadline() {
        let (ours, other) = (SwarmRef::new([1; 32]), SwarmRef::new([2; 32]));
        let deadline = UnixSeconds::new(900);
        let open = JobTerms { request_hash: ours, delivery_deadline: deadline, ..JobTerms::default() };
        assert!(!open.is_of_another(ours, deadline) && open.is_of_another(other, deadline));
        let claimed = JobTerms { request_hash: SwarmRef::ZERO, ..open };
        assert!(!claimed.is_of_another(ours, deadline));
        assert!(claimed.is_of_another(ours, UnixSeconds::new(901)));
    }

    #[test]
    fn an_offer_survives_a_tagged_message() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        enum Message {
            Offer { offering: Offering },
        }
        let offering = Offering {
            model: "m".into(),
            prices: TokenPrices::default(),
            max_context_tokens: u128::MAX,
            max_latency_seconds: 1,
        };
        let message = Message::Offer { offering };
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }
}
