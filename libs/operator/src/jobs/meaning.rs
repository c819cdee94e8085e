//! What the states mean, for people who did not read the source.

use t4t_store::Side;

/// What a state means; empty for one that is not known.
pub(crate) fn of(side: Side, state: &str) -> &'static str {
    match (side, state) {
        (Side::Buying, "planned") => "the payment is not in escrow yet",
        (Side::Buying, "posted") => "the payment is in escrow, the provider has not begun",
        (Side::Buying, "acked") => "the provider is at work",
        (Side::Buying, "delivered") => "the answer is there, the provider's claim is not in a block yet",
        (Side::Buying, "claimed") => "the provider was paid, the rest came back",
        (Side::Buying, "refused") => "the provider refused, everything came back",
        (Side::Buying, "cancelled") => "the provider did not begin in time, everything came back",
        (Side::Buying, "timed_out") => "the provider did not deliver in time, everything came back",
        (Side::Buying, "not_posted") => "nothing was paid",
        (Side::Selling, "accepted") => "found on the chain, not begun yet",
        (Side::Selling, "working") => "a backend is at work",
        (Side::Selling, "answered") => "the answer is stored, not uploaded yet",
        (Side::Selling, "uploaded") => "the answer is uploaded, its claim is not in a block yet",
        (Side::Selling, "claimed") => "the claim is in a block",
        (Side::Selling, "refusing") => "the refusal is not in a block yet",
        (Side::Selling, "refused") => "closed with a claim of nothing, which costs no stake",
        (Side::Selling, "lost") => "over without a payment: the reason says why",
        _ => "",
    }
}

/// Whether the job's money has not reached its end.
pub(crate) fn is_open(state: &str) -> bool {
    matches!(
        state,
        "planned"
            | "posted"
            | "acked"
            | "delivered"
            | "accepted"
            | "working"
            | "answered"
            | "uploaded"
            | "refusing"
    )
}

#[cfg(test)]
mod tests {
    use t4t_protocol::job::{BuyingState, SellingState};

    use super::*;

    #[test]
    fn every_state_has_a_meaning_and_is_open_until_its_end() {
        for state in BuyingState::ALL {
            assert!(!of(Side::Buying, state.as_str()).is_empty(), "{state}");
            assert_eq!(is_open(state.as_str()), !state.is_final(), "{state}");
        }
        for state in SellingState::ALL {
            assert!(!of(Side::Selling, state.as_str()).is_empty(), "{state}");
            assert_eq!(is_open(state.as_str()), !state.is_final(), "{state}");
        }
    }
}
