//! Which offers a request may be given to, and what each would put in escrow: pure, from what the directory says.
//!
//! Offers are filtered before one is chosen, whatever record a provider has: whoever pays itself can make any record on
//! the chain, for gas.
//!
//! 1. An absolute ceiling on the price per million tokens, and one on the escrow of a request. They always hold.
//! 2. From three offers on, the market's figure: an offer that costs more than a multiple of the lower median, for this
//!    very request, is left out. One decoy at either end moves a median by one place at most; with one or two offers no
//!    statistic tells a rogue from an honest one. Providers that failed lately don't count, and known ones are never left
//!    out, so that baits don't shut the honest out; where only baits were within it and none had a slot for half of the
//!    wait, the ceilings alone hold.
//! 3. A provider that has answered little gets a small escrow where the request states no limit of its own.

use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::Candidate;
use t4t_inference::Demand;
use t4t_protocol::EscrowSizing;
use t4t_types::{ModelId, Xbzz};

/// The smallest payment that our escrow takes and providers serve; what a job does not cost comes back.
const SMALLEST_PAYMENT: Xbzz = Xbzz::from_plur(1_000_000_000_000);

/// Offers from which on there is a market's figure.
const LEAST_OFFERS: usize = 3;

/// Answers of a provider from which on this gateway knows it.
pub(super) const KNOWN_FROM: u32 = 3;

/// What a request without a limit of its own may answer at a provider that is not known, in tokens.
const FIRST_OUTPUT: u64 = 4096;

/// An answer that the ceiling makes shorter than this is none that an app wants, in tokens.
const LEAST_OUTPUT: u64 = 256;

/// A multiple's unit: parts per million.
const MILLION: u128 = 1_000_000;

/// What bounds a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `T4T_MAX_PRICE_PER_MILLION_TOKENS`: input and output price together.
    pub price_ceiling: Xbzz,
    /// `T4T_MAX_ESCROW_PER_JOB`.
    pub escrow_ceiling: Xbzz,
    /// `T4T_MAX_PRICE_MULTIPLE`, in parts per million: how far above the market's figure an offer may lie.
    pub multiple_ppm: u64,
}

/// Ten times what the live network's providers ask by default (0.3 and 1.5 xBZZ), half an xBZZ a request (4 MiB of text at that price), and
/// three times the market's figure.
impl Default for Bounds {
    fn default() -> Self {
        Self {
            price_ceiling: Xbzz::from_whole(18),
            escrow_ceiling: Xbzz::from_plur(Xbzz::PLUR_PER_XBZZ / 2),
            multiple_ppm: 3_000_000,
        }
    }
}

/// A provider that may be asked, as far as trust goes.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) candidate: Candidate,
    /// Usable answers that this gateway had from it.
    pub(super) answered: u32,
    /// Whether it failed lately: others come first.
    pub(super) is_behind: bool,
}

/// An offer within the bounds.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) known: Known,
    /// What the request costs there at most, as stated: by this offers are compared.
    pub(super) price: Xbzz,
    /// What goes into escrow.
    pub(super) needs: Xbzz,
    /// Whether it lies within the market's figure, or its provider is known.
    pub(super) is_usual: bool,
}

impl Offer {
    pub(super) fn is_known(&self) -> bool {
        self.known.answered >= KNOWN_FROM
    }
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
    pub(super) fn into_error(self, model: &ModelId, bounds: &Bounds) -> BuyingError {
        let ceiling = bounds.escrow_ceiling;
        let param = Some("max_tokens".to_owned());
        match self {
            Self::Price => BuyingError::AbovePriceCap { model: model.clone(), cap: bounds.price_ceiling },
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

impl Bounds {
    /// The offers that a request may be given to, in the registry's order.
    pub(super) fn offers(
        &self,
        sizing: &EscrowSizing,
        demand: Demand,
        listed: Vec<Known>,
    ) -> Result<Vec<Offer>, OutOfBounds> {
        let is_priced = |known: &Known| known.candidate.prices.combined() <= self.price_ceiling;
        let priced = |known: Known| {
            let size = sizing.size(demand, &known.candidate.prices).ok()?;
            Some(Offer { known, price: size.max_payment, needs: size.max_payment, is_usual: true })
        };
        let listed: Vec<Known> = listed.into_iter().filter(is_priced).collect();
        if listed.is_empty() {
            return Err(OutOfBounds::Price);
        }
        let mut offers: Vec<Offer> = listed.into_iter().filter_map(priced).collect();
        if let Some(limit) = self.market_limit(&offers) {
            offers.iter_mut().for_each(|offer| offer.is_usual = offer.is_known() || offer.price <= limit);
        }
        let mut refused = OutOfBounds::Overflow;
        let mut least: Option<Xbzz> = None;
        offers.retain_mut(|offer| match self.escrow(sizing, demand, offer) {
            Ok(needs) => {
                offer.needs = needs;
                true
            }
            Err(why) => {
                // Told of the cheapest: with the others it would be worse.
                if least.is_none_or(|least| offer.price < least) {
                    (least, refused) = (Some(offer.price), why);
                }
                false
            }
        });
        if offers.is_empty() { Err(refused) } else { Ok(offers) }
    }

    /// The most that an offer may cost by what the others ask; `None` where they are too few to tell.
    fn market_limit(&self, offers: &[Offer]) -> Option<Xbzz> {
        let mut prices: Vec<Xbzz> =
            offers.iter().filter(|offer| !offer.known.is_behind).map(|offer| offer.price).collect();
        if prices.len() < LEAST_OFFERS {
            return None;
        }
        prices.sort_unstable();
        let figure = prices.get((prices.len() - 1) / 2)?;
        let limit = figure.plur().saturating_mul(self.multiple_ppm.into()) / MILLION;
        Some(Xbzz::from_plur(limit))
    }

    /// What a request puts in escrow at a provider. Where the app states no limit, the answer's is what the provider's
    /// context, this gateway's knowledge of it and the ceiling leave.
    fn escrow(&self, sizing: &EscrowSizing, demand: Demand, offer: &Offer) -> Result<Xbzz, OutOfBounds> {
        let prices = &offer.known.candidate.prices;
        let most = sizing.longest_output_within(self.escrow_ceiling, demand.prompt, prices);
        let sized = |output| {
            let size = sizing.size(Demand { output: Some(output), ..demand }, prices);
            size.map(|size| size.max_payment.max(SMALLEST_PAYMENT)).map_err(|_| OutOfBounds::Overflow)
        };
        let Some(most) = most else { return Err(OutOfBounds::Prompt { needs: sized(0)? }) };
        if let Some(asked) = demand.output {
            return match sized(asked)? {
                needs if needs <= self.escrow_ceiling => Ok(needs),
                needs if most == 0 => Err(OutOfBounds::Prompt { needs }),
                needs => Err(OutOfBounds::Output { asked, most, needs }),
            };
        }
        if most < LEAST_OUTPUT {
            return Err(OutOfBounds::Prompt { needs: sized(LEAST_OUTPUT)? });
        }
        let first = if offer.is_known() { u64::MAX } else { FIRST_OUTPUT };
        let context = match offer.known.candidate.max_context_tokens {
            0 => u64::MAX,
            context => context.saturating_sub(demand.prompt).max(LEAST_OUTPUT),
        };
        sized(sizing.default_max_output.min(first).min(context).min(most))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use t4t_types::{Address, EncryptionKey, Overlay, TokenPrices};

    use super::*;

    const REQUEST: Demand = Demand { prompt: 1000, output: Some(500) };

    /// A provider that asks `price` PLUR for a million tokens in, and five times that for a million out.
    pub(in super::super) fn known(number: u8, price: u128) -> Known {
        let prices = TokenPrices { input: Xbzz::from_plur(price), output: Xbzz::from_plur(price * 5) };
        let candidate = Candidate {
            provider: Address::new([number; 20]),
            sealing_key: EncryptionKey::ZERO,
            overlay: Overlay::ZERO,
            prices,
            max_context_tokens: 0,
            stake: Xbzz::ZERO,
            total_jobs: 0,
            successful_jobs: 0,
            open_jobs: 0,
            max_concurrent_jobs: 0,
            live: true,
        };
        Known { candidate, answered: 0, is_behind: false }
    }

    /// 0.3 xBZZ for a million tokens in, as the live network's providers ask.
    const USUAL: u128 = 3_000_000_000_000_000;

    fn bounds() -> Bounds {
        // Without the ceiling, so that the market's figure alone is seen.
        Bounds { price_ceiling: Xbzz::MAX, escrow_ceiling: Xbzz::MAX, ..Bounds::default() }
    }

    fn left(bounds: &Bounds, prices: &[u128]) -> Vec<u8> {
        let listed = prices.iter().enumerate().map(|(at, price)| known(u8::try_from(at).unwrap(), *price));
        let offers = bounds.offers(&EscrowSizing::default(), REQUEST, listed.collect()).unwrap_or_default();
        offers
            .iter()
            .filter(|offer| offer.is_usual)
            .map(|offer| offer.known.candidate.provider.as_bytes()[0])
            .collect()
    }

    #[test]
    fn with_one_or_two_offers_the_ceiling_alone_holds() {
        let rogue = USUAL * 2_400_000;
        assert_eq!(left(&bounds(), &[rogue]), [0]);
        assert_eq!(left(&bounds(), &[rogue, USUAL]), [0, 1]);
        let usual = Bounds::default();
        assert_eq!(left(&usual, &[rogue]), [0_u8; 0]);
        assert_eq!(left(&usual, &[rogue, USUAL]), [1]);
        assert_eq!(left(&usual, &[USUAL * 10]), [0], "the ceiling is ten times the usual");
        assert_eq!(left(&usual, &[USUAL * 10 + 1]), [0_u8; 0]);
    }

    #[test]
    fn from_three_offers_on_neither_a_high_nor_a_low_decoy_moves_the_figure() {
        for rogue in [USUAL * 4, USUAL * 2_400_000] {
            assert_eq!(left(&bounds(), &[rogue, USUAL, USUAL]), [1, 2]);
        }
        assert_eq!(left(&bounds(), &[1, USUAL, USUAL]), [0, 1, 2], "a bait shuts nobody out");
        assert_eq!(left(&bounds(), &[1, USUAL, USUAL * 3]), [0, 1, 2]);
        let mut ten = vec![USUAL; 10];
        (ten[3], ten[7]) = (USUAL * 100, 1);
        assert_eq!(left(&bounds(), &ten), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_rogue_with_two_stakes_moves_nothing_beside_two_honest_offers() {
        assert_eq!(left(&bounds(), &[USUAL * 50, USUAL * 50, USUAL, USUAL]), [2, 3]);
        // Beside a single honest one it is the market; what it may take is the ceiling's.
        assert_eq!(left(&Bounds::default(), &[USUAL * 11, USUAL * 11, USUAL]), [2]);
    }

    #[test]
    fn baits_that_failed_do_not_shut_the_honest_out() {
        let mut listed = vec![known(0, 1), known(1, 1), known(2, USUAL), known(3, USUAL)];
        listed.iter_mut().take(2).for_each(|bait| bait.is_behind = true);
        let offers = bounds().offers(&EscrowSizing::default(), REQUEST, listed).unwrap();
        assert!(offers.iter().all(|offer| offer.is_usual));
    }

    #[test]
    fn as_many_baits_as_honest_offers_do_not_shut_out_whom_this_gateway_knows() {
        let mut listed = vec![known(0, 1), known(1, 1), known(2, USUAL), known(3, USUAL)];
        listed[3].answered = KNOWN_FROM;
        let offers = bounds().offers(&EscrowSizing::default(), REQUEST, listed).unwrap();
        let usual: Vec<bool> = offers.iter().map(|offer| offer.is_usual).collect();
        assert_eq!(usual, [true, true, false, true]);
    }

    #[test]
    fn an_answer_without_a_limit_is_sized_by_what_is_known_of_the_provider() {
        let (sizing, bounds) = (EscrowSizing::default(), Bounds::default());
        let demand = Demand { prompt: 1000, output: None };
        let needs = |known: Known| bounds.offers(&sizing, demand, vec![known]).unwrap()[0].needs;
        let of = |output| {
            sizing.size(Demand { output: Some(output), ..demand }, &known(1, USUAL).candidate.prices)
        };
        assert_eq!(
            needs(known(1, USUAL)),
            of(4096).unwrap().max_payment,
            "a stranger's first jobs are small"
        );
        let mut friend = known(1, USUAL);
        friend.answered = KNOWN_FROM;
        assert_eq!(needs(friend.clone()), of(16_384).unwrap().max_payment);
        friend.candidate.max_context_tokens = 3000;
        assert_eq!(needs(friend.clone()), of(2000).unwrap().max_payment, "its context leaves no more");
        friend.candidate.max_context_tokens = 100;
        assert_eq!(needs(friend.clone()), of(256).unwrap().max_payment);
        let dear = known(1, USUAL * 10);
        let escrow =
            bounds.offers(&sizing, Demand { prompt: 130_000, output: None }, vec![dear]).unwrap()[0].needs;
        assert!(escrow <= bounds.escrow_ceiling && escrow.plur() > bounds.escrow_ceiling.plur() * 99 / 100);
    }

    #[test]
    fn what_no_provider_may_be_paid_names_what_to_change() {
        let (sizing, bounds) = (EscrowSizing::default(), Bounds::default());
        let refused =
            |demand| bounds.offers(&sizing, demand, vec![known(1, USUAL), known(2, USUAL * 2)]).unwrap_err();
        let OutOfBounds::Output { asked, most, .. } =
            refused(Demand { prompt: 256, output: Some(1_000_000) })
        else {
            panic!("the answer is too long");
        };
        assert_eq!(asked, 1_000_000);
        assert!(
            bounds.offers(&sizing, Demand { prompt: 256, output: Some(most) }, vec![known(1, USUAL)]).is_ok()
        );
        assert!(
            bounds
                .offers(&sizing, Demand { prompt: 256, output: Some(most + 3) }, vec![known(1, USUAL)])
                .is_err()
        );
        assert!(matches!(refused(Demand { prompt: 10_000_000, output: None }), OutOfBounds::Prompt { .. }));
        assert!(matches!(
            refused(Demand { prompt: 10_000_000, output: Some(5) }),
            OutOfBounds::Prompt { .. }
        ));
        assert!(matches!(
            refused(Demand { prompt: 256, output: Some(u64::MAX) }),
            OutOfBounds::Overflow | OutOfBounds::Output { .. }
        ));
    }

    proptest! {
        #[test]
        fn no_offer_ever_costs_more_than_the_ceiling(
            prices in proptest::collection::vec(0_u128..10_u128.pow(22), 0..12),
            prompt in 256_u64..10_000_000,
            output in proptest::option::of(1_u64..10_000_000),
        ) {
            let bounds = Bounds::default();
            let listed = prices.iter().map(|price| known(1, *price)).collect();
            for offer in bounds.offers(&EscrowSizing::default(), Demand { prompt, output }, listed).unwrap_or_default() {
                prop_assert!(offer.needs <= bounds.escrow_ceiling);
                prop_assert!(offer.known.candidate.prices.combined() <= bounds.price_ceiling);
            }
        }
    }
}
