//! The provider's side of a job.

use serde::{Deserialize, Serialize};

use super::{IllegalTransition, text_form};

/// How far a sold job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SellingState {
    /// Its terms on the chain are good; the request is being fetched.
    Accepted,
    /// A backend was asked.
    Working,
    /// The answer is stored, sealed. From here on no backend is asked again.
    Answered,
    /// The answer lies in Swarm; the claim is on its way.
    Uploaded,
    /// It is not served; a claim of nothing is on its way.
    Refusing,
    /// Paid. Final.
    Claimed,
    /// Refused; nothing paid, nothing slashed. Final.
    Refused,
    /// The client took the payment back. Final.
    Lost,
}

text_form!(SellingState {
    Accepted = "accepted",
    Working = "working",
    Answered = "answered",
    Uploaded = "uploaded",
    Refusing = "refusing",
    Claimed = "claimed",
    Refused = "refused",
    Lost = "lost",
});

/// Something that happens to a sold job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SellingEvent {
    /// A backend is asked.
    Began,
    /// The answer is stored.
    Answered,
    /// The answer lies in Swarm.
    Uploaded,
    /// It was decided not to serve it.
    RefusalDecided,
    /// The chain says paid.
    Claimed,
    /// The chain says claimed for nothing.
    Refused,
    /// The chain says that the client took the payment back.
    Lost,
    /// The chain was reorganised: what it said last is not so.
    Reorganised,
}

text_form!(SellingEvent {
    Began = "begun",
    Answered = "answered",
    Uploaded = "uploaded",
    RefusalDecided = "refusing",
    Claimed = "claimed",
    Refused = "refused",
    Lost = "lost",
    Reorganised = "reorganised",
});

impl SellingState {
    /// Whether nothing is left to do but to wait out reorganisations.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Claimed | Self::Refused | Self::Lost)
    }

    /// The state after an event.
    ///
    /// # Errors
    /// The event can't happen in this state.
    pub fn apply(self, event: SellingEvent) -> Result<Self, IllegalTransition> {
        use SellingEvent as Event;
        match (self, event) {
            (Self::Accepted | Self::Working, Event::Began) => Ok(Self::Working),
            (Self::Working | Self::Answered, Event::Answered) => Ok(Self::Answered),
            (Self::Answered | Self::Uploaded, Event::Uploaded) => Ok(Self::Uploaded),
            (Self::Accepted | Self::Working | Self::Answered | Self::Refusing, Event::RefusalDecided) => {
                Ok(Self::Refusing)
            }
            (Self::Uploaded | Self::Claimed, Event::Claimed) => Ok(Self::Claimed),
            (Self::Refusing | Self::Refused, Event::Refused) => Ok(Self::Refused),
            (Self::Claimed | Self::Refused, Event::Lost) => {
                Err(IllegalTransition { state: self.as_str(), event: event.as_str() })
            }
            (_, Event::Lost) => Ok(Self::Lost),
            (Self::Claimed, Event::Reorganised) => Ok(Self::Uploaded),
            // Without a settled end any more, a job that was lost or refused is refused: that costs no stake.
            (Self::Refused | Self::Lost, Event::Reorganised) => Ok(Self::Refusing),
            (state, Event::Reorganised) => Ok(state),
            (state, event) => Err(IllegalTransition { state: state.as_str(), event: event.as_str() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a state, in the order of `SellingState::ALL`; `-` is illegal.
    const TABLE: [(&str, SellingEvent); 8] = [
        //AWNUGCRL   Accepted Working aNswered Uploaded refusinG Claimed Refused Lost
        ("WW------", SellingEvent::Began),
        ("-NN-----", SellingEvent::Answered),
        ("--UU----", SellingEvent::Uploaded),
        ("GGG-G---", SellingEvent::RefusalDecided),
        ("---C-C--", SellingEvent::Claimed),
        ("----R-R-", SellingEvent::Refused),
        ("LLLLL--L", SellingEvent::Lost),
        ("AWNUGUGG", SellingEvent::Reorganised),
    ];

    fn letter(state: SellingState) -> char {
        "AWNUGCRL".chars().nth(SellingState::ALL.iter().position(|&one| one == state).unwrap()).unwrap()
    }

    #[test]
    fn every_state_meets_every_event_as_the_table_says() {
        assert_eq!(TABLE.len(), SellingEvent::ALL.len());
        for (row, event) in TABLE {
            for (&state, expected) in SellingState::ALL.iter().zip(row.chars()) {
                let got = state.apply(event).map_or('-', letter);
                assert_eq!(got, expected, "{state} × {event}");
            }
        }
    }

    #[test]
    fn a_stored_answer_is_never_followed_by_another_run() {
        for state in [SellingState::Answered, SellingState::Uploaded, SellingState::Claimed] {
            assert!(state.apply(SellingEvent::Began).is_err());
        }
    }
}
