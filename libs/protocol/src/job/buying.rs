//! The gateway's side of a job.

use serde::{Deserialize, Serialize};

use t4t_types::{JobId, SwarmRef, Xbzz};

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

/// Something that happens to a bought job, with what is learnt by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuyingStep {
    /// The payment went into escrow.
    Posted {
        /// The job on the chain.
        job: JobId,
    },
    /// The payment can't go into escrow any more.
    PostFailed {
        /// Why.
        reason: String,
    },
    /// The provider acknowledged.
    Acked,
    /// It became known where the answer lies.
    Delivered {
        /// Where.
        response_hash: SwarmRef,
    },
    /// The provider was paid.
    Claimed {
        /// Where its answer lies, if the claim names one.
        response_hash: Option<SwarmRef>,
        /// What it took.
        paid: Xbzz,
    },
    /// The chain shows a claim whose event is lost, and with it how much was paid.
    SeenClaimed {
        /// Where the answer lies.
        response_hash: SwarmRef,
    },
    /// The provider claimed nothing.
    Refused {
        /// Where its reason lies, if it gave one.
        reason_at: Option<SwarmRef>,
    },
    /// The payment came back for want of an acknowledgement.
    Cancelled,
    /// The payment came back for want of an answer.
    TimedOut,
    /// The chain was reorganised: what it said last is not so.
    Reorganised {
        /// Whether the job on the chain is gone, or another request's by now.
        forgets_job: bool,
    },
}

impl BuyingStep {
    /// Its name, as the log and the job's history have it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Posted { .. } => "posted",
            Self::PostFailed { .. } => "not posted",
            Self::Acked => "acked",
            Self::Delivered { .. } => "delivered",
            Self::Claimed { .. } | Self::SeenClaimed { .. } => "claimed",
            Self::Refused { .. } => "refused",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed out",
            Self::Reorganised { .. } => "reorganised",
        }
    }

    /// Whether the job's money has come to its end by it.
    pub const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Claimed { .. }
                | Self::SeenClaimed { .. }
                | Self::Refused { .. }
                | Self::Cancelled
                | Self::TimedOut
                | Self::PostFailed { .. }
        )
    }

    /// The job on the chain that it tells of.
    pub const fn job(&self) -> Option<JobId> {
        match self {
            Self::Posted { job } => Some(*job),
            _ => None,
        }
    }

    /// Whether the row has no job on the chain after it: what is not in escrow has none, and after a reorganisation its
    /// id may be another request's.
    pub const fn forgets_job(&self) -> bool {
        matches!(self, Self::PostFailed { .. } | Self::Reorganised { forgets_job: true })
    }

    /// Where it says that the answer, or the reason of a refusal, lies.
    pub const fn response_hash(&self) -> Option<SwarmRef> {
        match self {
            Self::Delivered { response_hash } | Self::SeenClaimed { response_hash } => Some(*response_hash),
            Self::Claimed { response_hash, .. } => *response_hash,
            Self::Refused { reason_at } => *reason_at,
            _ => None,
        }
    }

    /// What the provider was paid by it; a refusal takes nothing.
    pub const fn paid(&self) -> Option<Xbzz> {
        match self {
            Self::Claimed { paid, .. } => Some(*paid),
            Self::Refused { .. } => Some(Xbzz::ZERO),
            _ => None,
        }
    }

    /// Why the job ended otherwise.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::PostFailed { reason } => Some(reason),
            _ => None,
        }
    }
}

impl BuyingState {
    /// Whether nothing is left to do but to wait out reorganisations.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Claimed | Self::Refused | Self::Cancelled | Self::TimedOut | Self::NotPosted)
    }

    const fn may_be_claimed(self) -> bool {
        !self.is_final() || matches!(self, Self::Claimed | Self::Refused)
    }

    /// The state after a step. Messages and chain events overtake each other, so a step that tells less than is known
    /// already changes nothing.
    ///
    /// # Errors
    /// The step contradicts what is final on the chain.
    pub fn apply(self, step: &BuyingStep) -> Result<Self, IllegalTransition> {
        use BuyingStep as Step;
        match (self, step) {
            // Settlement may have stored the transaction after it was given up.
            (Self::Planned | Self::NotPosted, Step::Posted { .. }) => Ok(Self::Posted),
            (Self::Posted | Self::Acked | Self::Delivered, Step::Posted { .. }) => Ok(self),
            // Messages may have overtaken a transaction that the contract then refused.
            (
                Self::Planned | Self::Posted | Self::Acked | Self::Delivered | Self::NotPosted,
                Step::PostFailed { .. },
            ) => Ok(Self::NotPosted),
            (Self::Planned | Self::Posted | Self::Acked, Step::Acked) => Ok(Self::Acked),
            (Self::Delivered, Step::Acked) => Ok(self),
            (Self::Planned | Self::Posted | Self::Acked | Self::Delivered, Step::Delivered { .. }) => {
                Ok(Self::Delivered)
            }
            // Late messages about a job that is over.
            (state, Step::Posted { .. } | Step::Acked | Step::Delivered { .. })
                if state.is_final() && state != Self::NotPosted =>
            {
                Ok(state)
            }
            // Both are claims. A guess from the job's terms is put right by the event, which tells the amount.
            (state, Step::Claimed { .. } | Step::SeenClaimed { .. }) if state.may_be_claimed() => {
                Ok(Self::Claimed)
            }
            (state, Step::Refused { .. }) if state.may_be_claimed() => Ok(Self::Refused),
            (state, Step::Cancelled) if !state.is_final() || state == Self::Cancelled => Ok(Self::Cancelled),
            (state, Step::TimedOut) if !state.is_final() || state == Self::TimedOut => Ok(Self::TimedOut),
            (Self::Planned | Self::Posted, Step::Reorganised { .. }) => Ok(Self::Planned),
            (Self::Acked | Self::Delivered, Step::Reorganised { .. }) => Ok(self),
            (Self::Claimed, Step::Reorganised { .. }) => Ok(Self::Delivered),
            (Self::Refused | Self::Cancelled | Self::TimedOut, Step::Reorganised { .. }) => Ok(Self::Posted),
            (state, step) => Err(IllegalTransition { state: state.as_str(), step: step.as_str() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a state, in the order of `BuyingState::ALL`; `-` is illegal.
    fn table() -> [(&'static str, BuyingStep); 11] {
        let (response_hash, paid) = (SwarmRef::ZERO, Xbzz::from_plur(1));
        [
            //PPADCRXTN   Planned Posted Acked Delivered Claimed Refused cancelled(X) TimedOut NotPosted
            ("OOADCRXTO", BuyingStep::Posted { job: JobId::new([1; 32]) }),
            ("NNNN----N", BuyingStep::PostFailed { reason: String::new() }),
            ("AAADCRXT-", BuyingStep::Acked),
            ("DDDDCRXT-", BuyingStep::Delivered { response_hash }),
            ("CCCCCC---", BuyingStep::Claimed { response_hash: None, paid }),
            ("CCCCCC---", BuyingStep::SeenClaimed { response_hash }),
            ("RRRRRR---", BuyingStep::Refused { reason_at: None }),
            ("XXXX--X--", BuyingStep::Cancelled),
            ("TTTT---T-", BuyingStep::TimedOut),
            ("PPADDOOO-", BuyingStep::Reorganised { forgets_job: false }),
            ("PPADDOOO-", BuyingStep::Reorganised { forgets_job: true }),
        ]
    }

    fn letter(state: BuyingState) -> char {
        "POADCRXTN".chars().nth(BuyingState::ALL.iter().position(|&one| one == state).unwrap()).unwrap()
    }

    #[test]
    fn every_state_meets_every_step_as_the_table_says() {
        for (row, step) in table() {
            for (&state, expected) in BuyingState::ALL.iter().zip(row.chars()) {
                let got = state.apply(&step).map_or('-', letter);
                assert_eq!(got, expected, "{state} × {step:?}");
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
