//! What a request costs at a provider and what of that is at risk: the part of a payment method that choice sees.

use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::Candidate;
use t4t_inference::Demand;
use t4t_protocol::EscrowSizing;
use t4t_types::{ModelId, TokenPrices, Xbzz};

/// The smallest payment that our escrow takes and providers serve; what a job does not cost comes back.
const SMALLEST_PAYMENT: Xbzz = Xbzz::from_plur(1_000_000_000_000);

/// What a request without a limit of its own may answer at a provider that is not known, in tokens.
const FIRST_OUTPUT: u64 = 4096;

/// An answer that the ceiling makes shorter than this is none that an app wants, in tokens.
const LEAST_OUTPUT: u64 = 256;

/// What a payment method asks for a request.
pub(super) trait Pricing: std::fmt::Debug + Send + Sync {
    /// What a request costs at most at these prices, as stated: by this offers are compared. `None` if it can't be
    /// counted.
    fn price(&self, demand: Demand, prices: &TokenPrices) -> Option<Xbzz>;

    /// The most that a provider can take for a request without answering it.
    ///
    /// # Errors
    /// It is more than one request may put at risk.
    fn at_risk(&self, demand: Demand, candidate: &Candidate, is_known: bool) -> Result<Xbzz, OutOfBounds>;
}

/// Why no offer is within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfBounds {
    /// Each one is above the ceiling for prices.
    Price,
    /// The prompt alone needs more in escrow than is allowed.
    Prompt { needs: Xbzz },
    /// The answer that was asked for does; so many tokens would not.
    Output { asked: u64, most: u64, needs: Xbzz },
    /// It can't be counted.
    Overflow,
}

impl OutOfBounds {
    /// The same as the app is told; `price_cap` is the highest price per million tokens that is paid, `ceiling` the most that
    /// one request may put at risk.
    pub(super) fn into_error(self, model: &ModelId, price_cap: Xbzz, ceiling: Xbzz) -> BuyingError {
        let param = Some("max_tokens".to_owned());
        match self {
            Self::Price => BuyingError::AbovePriceCap { model: model.clone(), cap: price_cap },
            Self::Prompt { needs } => BuyingError::EscrowTooLarge { needs, ceiling },
            Self::Output { asked, most, needs } => {
                let message = format!(
                    "{asked} tokens of answer need {needs} xBZZ in escrow at the cheapest offer, and one request may put in {ceiling}: \
                     ask for {most} at most, or raise T4T_MAX_ESCROW_PER_JOB"
                );
                BuyingError::BadRequest { message, param }
            }
            Self::Overflow => {
                let message = "the request costs more than any amount: lower max_tokens".to_owned();
                BuyingError::BadRequest { message, param }
            }
        }
    }
}

/// The escrow of version 1: all that a request may cost is paid in before the provider begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct EscrowPricing {
    /// How escrows are sized.
    pub(super) sizing: EscrowSizing,
    /// The most that one request may put in.
    pub(super) ceiling: Xbzz,
}

impl Pricing for EscrowPricing {
    fn price(&self, demand: Demand, prices: &TokenPrices) -> Option<Xbzz> {
        self.sizing.size(demand, prices).ok().map(|size| size.max_payment)
    }

    /// What a request puts in escrow at a provider. Where the app states no limit, the answer's is what the provider's
    /// context, this gateway's knowledge of it and the ceiling leave.
    fn at_risk(&self, demand: Demand, candidate: &Candidate, is_known: bool) -> Result<Xbzz, OutOfBounds> {
        let (sizing, prices) = (&self.sizing, &candidate.prices);
        let most = sizing.longest_output_within(self.ceiling, demand.prompt, prices);
        let sized = |output| {
            let size = sizing.size(Demand { output: Some(output), ..demand }, prices);
            size.map(|size| size.max_payment.max(SMALLEST_PAYMENT)).map_err(|_| OutOfBounds::Overflow)
        };
        let Some(most) = most else { return Err(OutOfBounds::Prompt { needs: sized(0)? }) };
        if let Some(asked) = demand.output {
            return match sized(asked)? {
                needs if needs <= self.ceiling => Ok(needs),
                needs if most == 0 => Err(OutOfBounds::Prompt { needs }),
                needs => Err(OutOfBounds::Output { asked, most, needs }),
            };
        }
        if most < LEAST_OUTPUT {
            return Err(OutOfBounds::Prompt { needs: sized(LEAST_OUTPUT)? });
        }
        let first = if is_known { u64::MAX } else { FIRST_OUTPUT };
        let context = match candidate.max_context_tokens {
            0 => u64::MAX,
            context => context.saturating_sub(demand.prompt).max(LEAST_OUTPUT),
        };
        sized(sizing.default_max_output.min(first).min(context).min(most))
    }
}
