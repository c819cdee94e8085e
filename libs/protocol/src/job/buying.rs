//! The gateway's side of a job.

use serde::{Deserialize, Serialize};

use super::{IllegalTransition, text_form};

/// How far a bought job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuyingState {
    /// The intent is stored: provider, payment, sealed request. Nothing has left the house.
    Planned,
    /// The payment is in escrow.
    Posted,
    /// The provider acknowledged, by message or on the chain.
    Acked,
    /// It is known where the answer lies.
    Delivered,
    /// The provider was paid. Final.
    Claimed,
    /// The provider claimed nothing; the payment came back. Final.
    Refused,
    /// The payment came back for want of an acknowledgement. Final.
    Cancelled,
    /// The payment came back for want of an answer. Final.
    TimedOut,
    /// The payment never went into escrow. Final.
    NotPosted,
}

text_form!(BuyingState {
    Planned = "planned",
    Posted = "posted",
    Acked = "acked",
    Delivered = "delivered",
    Claimed = "claimed",
    Refused = "refused",
    Cancelled = "cancelled",
    TimedOut = "timed_out",
    NotPosted = "not_posted",
});

/// Something that happens to a bought job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuyingEvent {
    /// The payment went into escrow.
    Posted,
    /// The payment can't go into escrow any more.
    PostFailed,
    /// The provider acknowledged.
    Acked,
    /// It became known where the answer lies.
    Delivered,
    /// The provider was paid.
    Claimed,
    /// The provider claimed nothing.
    Refused,
    /// The payment came back for want of an acknowledgement.
    Cancelled,
    /// The payment came back for want of an answer.
    TimedOut,
    /// The chain was reorganised: what it said last is not so.
    Reorganised,
}

text_form!(BuyingEvent {
    Posted = "posted",
    PostFailed = "not posted",
    Acked = "acked",
    Delivered = "delivered",
    Claimed = "claimed",
    Refused = "refused",
    Cancelled = "cancelled",
    TimedOut = "timed out",
    Reorganised = "reorganised",
});

impl BuyingState {
    /// Whether nothing is left to do but to wait out reorganisations.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Claimed | Self::Refused | Self::Cancelled | Self::TimedOut | Self::NotPosted)
    }

    const fn may_be_claimed(self) -> bool {
        !self.is_final() || matches!(self, Self::Claimed | Self::Refused)
    }

    /// The state after an event. Messages and chain events overtake each other, so an event that tells less than is
    /// known already changes nothing.
    ///
    /// # Errors
    /// The event contradicts what is final on the chain.
    pub fn apply(self, event: BuyingEvent) -> Result<Self, IllegalTransition> {
        use BuyingEvent as Event;
        match (self, event) {
            // Settlement may have stored the transaction after it was given up.
            (Self::Planned | Self::NotPosted, Event::Posted) => Ok(Self::Posted),
            (Self::Posted | Self::Acked | Self::Delivered, Event::Posted) => Ok(self),
            // Messages may have overtaken a transaction that the contract then refused.
            (
                Self::Planned | Self::Posted | Self::Acked | Self::Delivered | Self::NotPosted,
                Event::PostFailed,
            ) => Ok(Self::NotPosted),
            (Self::Planned | Self::Posted | Self::Acked, Event::Acked) => Ok(Self::Acked),
            (Self::Delivered, Event::Acked) => Ok(self),
            (Self::Planned | Self::Posted | Self::Acked | Self::Delivered, Event::Delivered) => {
                Ok(Self::Delivered)
            }
            // Late messages about a job that is over.
            (state, Event::Posted | Event::Acked | Event::Delivered)
                if state.is_final() && state != Self::NotPosted =>
            {
                Ok(state)
            }
            // Both are claims. A guess from the job's terms is put right by the event, which tells the amount.
            (state, Event::Claimed) if state.may_be_claimed() => Ok(Self::Claimed),
            (state, Event::Refused) if state.may_be_claimed() => Ok(Self::Refused),
            (state, Event::Cancelled) if !state.is_final() || state == Self::Cancelled => Ok(Self::Cancelled),
            (state, Event::TimedOut) if !state.is_final() || state == Self::TimedOut => Ok(Self::TimedOut),
            (Self::Planned | Self::Posted, Event::Reorganised) => Ok(Self::Planned),
            (Self::Acked | Self::Delivered, Event::Reorganised) => Ok(self),
            (Self::Claimed, Event::Reorganised) => Ok(Self::Delivered),
            (Self::Refused | Self::Cancelled | Self::TimedOut, Event::Reorganised) => Ok(Self::Posted),
            (state, event) => Err(IllegalTransition { state: state.as_str(), event: event.as_str() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a state, in the order of `BuyingState::ALL`; `-` is illegal.
    const TABLE: [(&str, BuyingEvent); 9] = [
        //PPADCRXTN   Planned Posted Acked Delivered Claimed Refused cancelled(X) TimedOut NotPosted
        ("OOADCRXTO", BuyingEvent::Posted),
        ("NNNN----N", BuyingEvent::PostFailed),
        ("AAADCRXT-", BuyingEvent::Acked),
        ("DDDDCRXT-", BuyingEvent::Delivered),
        ("CCCCCC---", BuyingEvent::Claimed),
        ("RRRRRR---", BuyingEvent::Refused),
        ("XXXX--X--", BuyingEvent::Cancelled),
        ("TTTT---T-", BuyingEvent::TimedOut),
        ("PPADDOOO-", BuyingEvent::Reorganised),
    ];

    fn letter(state: BuyingState) -> char {
        "POADCRXTN".chars().nth(BuyingState::ALL.iter().position(|&one| one == state).unwrap()).unwrap()
    }

    #[test]
    fn every_state_meets_every_event_as_the_table_says() {
        assert_eq!(TABLE.len(), BuyingEvent::ALL.len());
        for (row, event) in TABLE {
            for (&state, expected) in BuyingState::ALL.iter().zip(row.chars()) {
                let got = state.apply(event).map_or('-', letter);
                assert_eq!(got, expected, "{state} × {event}");
            }
        }
    }

    #[test]
    fn text_round_trips() {
        for &state in BuyingState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
