//! What the tries of a request came to.

use t4t_api::job_dispatcher::BuyingError;
use t4t_types::Address;

use crate::buying::choice::Tried;
use crate::buying::payment::{Delivered, Earlier, Failed};

/// Refusals for which a request gets another try.
const FREE_TRIES: u32 = 5;

/// What the tries of a request came to so far.
#[derive(Debug)]
pub(super) struct Tries {
    /// Who was asked, and what is too dear.
    pub(super) tried: Tried,
    /// How many count: those of this life, and earlier ones that were paid or may still be.
    pub(super) used: u32,
    /// Why the newest failed.
    reason: Option<String>,
    /// Who says that the request itself is wrong.
    pub(super) blame: Option<(Address, BuyingError)>,
    /// What a backend said that no provider did better than.
    refusal: Option<BuyingError>,
    /// An answer that says nothing: the app's, if the others give none that does.
    pub(super) empty: Option<Delivered>,
    /// Tries that cost nothing and so don't count among those that may fail.
    free: u32,
}

impl Tries {
    /// Those of an earlier life. What came back whole counts for nothing: it may be bought again.
    pub(super) fn of(earlier: &[Earlier]) -> Self {
        let counted: Vec<&Earlier> = earlier.iter().filter(|order| order.may_be_paid).collect();
        Self {
            tried: Tried {
                last: earlier.last().map_or(0, |order| order.attempt),
                providers: counted.iter().map(|order| order.provider).collect(),
                dear: None,
            },
            used: u32::try_from(counted.len()).unwrap_or(u32::MAX),
            reason: earlier.last().and_then(|order| order.failed.clone()),
            blame: None,
            refusal: None,
            empty: None,
            free: 0,
        }
    }

    pub(super) fn begin(&mut self, provider: Address) {
        (self.tried.last, self.used) = (self.tried.last + 1, self.used + 1);
        self.tried.providers.insert(provider);
    }

    /// Notes why a try failed and returns that, or the request's error if no other provider would do better.
    pub(super) fn failed(&mut self, provider: Address, failed: Failed) -> Result<String, BuyingError> {
        match failed {
            Failed::Request(error) => Err(error),
            // Two say so.
            Failed::Blamed(error) if self.blame.is_some() => Err(error),
            Failed::Blamed(error) => {
                let said = error.to_string();
                self.blame = Some((provider, error));
                Ok(said)
            }
            Failed::Refused(error) => {
                let said = error.to_string();
                self.refusal = Some(error);
                self.cost_nothing();
                Ok(said)
            }
            Failed::Free(why) => {
                self.reason = Some(why.clone());
                self.cost_nothing();
                Ok(why)
            }
            Failed::TooDear { needs, error } => {
                let said = error.to_string();
                self.tried.providers.remove(&provider);
                self.tried.dear = Some((needs, error));
                self.cost_nothing();
                Ok(said)
            }
            Failed::Provider(why) => {
                self.reason = Some(why.clone());
                Ok(why)
            }
        }
    }

    /// How many providers were tried.
    pub(super) fn count(&self) -> u32 {
        self.used.saturating_add(self.free)
    }

    /// A refusal costs whoever says it nothing, and comes at once: strangers that refuse don't use up a request's tries.
    fn cost_nothing(&mut self) {
        if self.free < FREE_TRIES {
            (self.free, self.used) = (self.free + 1, self.used.saturating_sub(1));
        }
    }

    /// What the app is told where none of the tries gave an answer.
    pub(super) fn into_error(self) -> BuyingError {
        let attempts = self.count();
        let Self { reason, blame, refusal, tried: Tried { dear, .. }, .. } = self;
        let reason = reason.unwrap_or_else(|| "no provider was left to ask".to_owned());
        let failed = BuyingError::ProvidersFailed { attempts, reason };
        let said = blame.map(|(_, error)| error).or(refusal).or(dear.map(|(_, error)| error));
        said.unwrap_or(failed)
    }
}
