//! The provider's side of a job.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use t4t_types::{SwarmRef, TokenUsage, Xbzz};

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

/// Something that happens to a sold job, with what is learnt by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SellingStep {
    /// A backend is asked.
    Began,
    /// The answer is there.
    Answered {
        /// The answer, sealed to the client.
        sealed: Bytes,
        /// What it took.
        usage: TokenUsage,
        /// What it costs.
        payment: Xbzz,
    },
    /// The same request was answered under an id that a reorganisation took away.
    Inherited {
        /// The answer, sealed to the client.
        sealed: Bytes,
        /// What it took.
        usage: TokenUsage,
        /// What it costs.
        payment: Xbzz,
    },
    /// The answer lies in Swarm.
    Uploaded {
        /// Where.
        response_hash: SwarmRef,
    },
    /// It was decided not to serve it.
    RefusalDecided {
        /// Why.
        reason: String,
        /// The same, sealed to the client, where its key is known.
        explanation: Option<Bytes>,
    },
    /// The chain says paid.
    Claimed {
        /// How much.
        paid: Xbzz,
    },
    /// The chain shows the claim; the event that tells the amount was not read.
    SeenClaimed,
    /// The chain says claimed for nothing.
    Refused,
    /// The client took the payment back, or nobody can claim it any more.
    Lost {
        /// How that is known.
        reason: String,
    },
    /// The chain was reorganised: what it said last is not so.
    Reorganised,
}

impl SellingStep {
    /// Its name, as the log and the job's history have it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Began => "begun",
            Self::Answered { .. } | Self::Inherited { .. } => "answered",
            Self::Uploaded { .. } => "uploaded",
            Self::RefusalDecided { .. } => "refusing",
            Self::Claimed { .. } | Self::SeenClaimed => "claimed",
            Self::Refused => "refused",
            Self::Lost { .. } => "lost",
            Self::Reorganised => "reorganised",
        }
    }

    /// Whether it is a step of the work itself rather than the chain's word.
    pub const fn is_work(&self) -> bool {
        matches!(
            self,
            Self::Began
                | Self::Answered { .. }
                | Self::Inherited { .. }
                | Self::Uploaded { .. }
                | Self::RefusalDecided { .. }
        )
    }

    /// What it brings to be kept for the client: an answer or a refusal's reason, sealed.
    pub const fn sealed(&self) -> Option<&Bytes> {
        match self {
            Self::Answered { sealed, .. } | Self::Inherited { sealed, .. } => Some(sealed),
            Self::RefusalDecided { explanation, .. } => explanation.as_ref(),
            _ => None,
        }
    }

    /// What the answer took and what it costs.
    pub const fn bill(&self) -> Option<(TokenUsage, Xbzz)> {
        match self {
            Self::Answered { usage, payment, .. } | Self::Inherited { usage, payment, .. } => {
                Some((*usage, *payment))
            }
            _ => None,
        }
    }

    /// Where the answer lies.
    pub const fn response_hash(&self) -> Option<SwarmRef> {
        match self {
            Self::Uploaded { response_hash } => Some(*response_hash),
            _ => None,
        }
    }

    /// What the chain says was paid; a refusal takes nothing.
    pub const fn paid(&self) -> Option<Xbzz> {
        match self {
            Self::Claimed { paid } => Some(*paid),
            Self::Refused => Some(Xbzz::ZERO),
            _ => None,
        }
    }

    /// Why the job ends otherwise.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::RefusalDecided { reason, .. } | Self::Lost { reason } => Some(reason),
            _ => None,
        }
    }
}

impl SellingState {
    /// Whether nothing is left to do but to wait out reorganisations.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Claimed | Self::Refused | Self::Lost)
    }

    /// The state after a step.
    ///
    /// # Errors
    /// The step can't happen in this state.
    pub fn apply(self, step: &SellingStep) -> Result<Self, IllegalTransition> {
        use SellingStep as Step;
        match (self, step) {
            (Self::Accepted | Self::Working, Step::Began) => Ok(Self::Working),
            (Self::Working | Self::Answered, Step::Answered { .. }) => Ok(Self::Answered),
            (Self::Accepted | Self::Working | Self::Answered, Step::Inherited { .. }) => Ok(Self::Answered),
            (Self::Answered | Self::Uploaded, Step::Uploaded { .. }) => Ok(Self::Uploaded),
            (
                Self::Accepted | Self::Working | Self::Answered | Self::Refusing,
                Step::RefusalDecided { .. },
            ) => Ok(Self::Refusing),
            (Self::Uploaded | Self::Claimed, Step::Claimed { .. } | Step::SeenClaimed) => Ok(Self::Claimed),
            (Self::Refusing | Self::Refused, Step::Refused) => Ok(Self::Refused),
            (Self::Claimed | Self::Refused, Step::Lost { .. }) => {
                Err(IllegalTransition { state: self.as_str(), step: step.as_str() })
            }
            (_, Step::Lost { .. }) => Ok(Self::Lost),
            (Self::Claimed, Step::Reorganised) => Ok(Self::Uploaded),
            // Without a settled end any more, a job that was lost or refused is refused: that costs no stake.
            (Self::Refused | Self::Lost, Step::Reorganised) => Ok(Self::Refusing),
            (state, Step::Reorganised) => Ok(state),
            (state, step) => Err(IllegalTransition { state: state.as_str(), step: step.as_str() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a state, in the order of `SellingState::ALL`; `-` is illegal.
    fn table() -> [(&'static str, SellingStep); 10] {
        let (sealed, usage, payment) = (Bytes::new, TokenUsage { prompt: 1, completion: 1 }, Xbzz::ZERO);
        let reason = String::new;
        [
            //AWNUGCRL   Accepted Working aNswered Uploaded refusinG Claimed Refused Lost
            ("WW------", SellingStep::Began),
            ("-NN-----", SellingStep::Answered { sealed: sealed(), usage, payment }),
            ("NNN-----", SellingStep::Inherited { sealed: sealed(), usage, payment }),
            ("--UU----", SellingStep::Uploaded { response_hash: SwarmRef::ZERO }),
            ("GGG-G---", SellingStep::RefusalDecided { reason: reason(), explanation: None }),
            ("---C-C--", SellingStep::Claimed { paid: payment }),
            ("---C-C--", SellingStep::SeenClaimed),
            ("----R-R-", SellingStep::Refused),
            ("LLLLL--L", SellingStep::Lost { reason: reason() }),
            ("AWNUGUGG", SellingStep::Reorganised),
        ]
    }

    fn letter(state: SellingState) -> char {
        "AWNUGCRL".chars().nth(SellingState::ALL.iter().position(|&one| one == state).unwrap()).unwrap()
    }

    #[test]
    fn every_state_meets_every_step_as_the_table_says() {
        for (row, step) in table() {
            for (&state, expected) in SellingState::ALL.iter().zip(row.chars()) {
                let got = state.apply(&step).map_or('-', letter);
                assert_eq!(got, expected, "{state} × {step:?}");
            }
        }
    }

    #[test]
    fn a_stored_answer_is_never_followed_by_another_run() {
        for state in [SellingState::Answered, SellingState::Uploaded, SellingState::Claimed] {
            assert!(state.apply(&SellingStep::Began).is_err());
        }
    }
}
