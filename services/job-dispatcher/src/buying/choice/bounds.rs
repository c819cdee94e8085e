//! Which offers a request may be given to, and what each would put at risk: pure, from what the directory says.
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

use t4t_api::registry_watcher::Candidate;
use t4t_inference::Demand;
use t4t_types::Xbzz;

use crate::buying::pricing::{OutOfBounds, Pricing};

/// Offers from which on there is a market's figure.
const LEAST_OFFERS: usize = 3;

/// Answers of a provider from which on this gateway knows it.
pub(in crate::buying) const KNOWN_FROM: u32 = 3;

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
pub(in crate::buying) struct Known {
    pub(in crate::buying) candidate: Candidate,
    /// Usable answers that this gateway had from it.
    pub(in crate::buying) answered: u32,
    /// Whether it failed lately: others come first.
    pub(in crate::buying) is_behind: bool,
}

/// An offer within the bounds.
#[derive(Clone, Debug)]
pub(in crate::buying) struct Offer {
    pub(in crate::buying) known: Known,
    /// What the request costs there at most, as stated: by this offers are compared.
    pub(in crate::buying) price: Xbzz,
    /// What the provider can take without answering: by version 1, what goes into escrow.
    pub(in crate::buying) needs: Xbzz,
    /// Whether it lies within the market's figure, or its provider is known.
    pub(in crate::buying) is_usual: bool,
}

impl Offer {
    pub(in crate::buying) fn is_known(&self) -> bool {
        self.known.answered >= KNOWN_FROM
    }
}

impl Bounds {
    /// The offers that a request may be given to, in the registry's order.
    pub(in crate::buying) fn offers(
        &self,
        pricing: &dyn Pricing,
        demand: Demand,
        listed: Vec<Known>,
    ) -> Result<Vec<Offer>, OutOfBounds> {
        let is_priced = |known: &Known| known.candidate.prices.combined() <= self.price_ceiling;
        let priced = |known: Known| {
            let price = pricing.price(demand, &known.candidate.prices)?;
            Some(Offer { known, price, needs: price, is_usual: true })
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
        offers.retain_mut(|offer| match pricing.at_risk(demand, &offer.known.candidate, offer.is_known()) {
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
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use t4t_protocol::EscrowSizing;
    use t4t_types::{Address, EncryptionKey, Overlay, TokenPrices};

    use super::*;
    use crate::buying::pricing::EscrowPricing;

    const REQUEST: Demand = Demand { prompt: 1000, output: Some(500) };

    fn pricing(bounds: &Bounds) -> EscrowPricing {
        EscrowPricing { sizing: EscrowSizing::default(), ceiling: bounds.escrow_ceiling }
    }

    /// A provider that asks `price` PLUR for a million tokens in, and five times that for a million out.
    pub(in crate::buying) fn known(number: u8, price: u128) -> Known {
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
        let offers = bounds.offers(&pricing(bounds), REQUEST, listed.collect()).unwrap_or_default();
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
        let offers = bounds().offers(&pricing(&bounds()), REQUEST, listed).unwrap();
        assert!(offers.iter().all(|offer| offer.is_usual));
    }

    #[test]
    fn as_many_baits_as_honest_offers_do_not_shut_out_whom_this_gateway_knows() {
        let mut listed = vec![known(0, 1), known(1, 1), known(2, USUAL), known(3, USUAL)];
        listed[3].answered = KNOWN_FROM;
        let offers = bounds().offers(&pricing(&bounds()), REQUEST, listed).unwrap();
        let usual: Vec<bool> = offers.iter().map(|offer| offer.is_usual).collect();
        assert_eq!(usual, [true, true, false, true]);
    }

    #[test]
    fn an_answer_without_a_limit_is_sized_by_what_is_known_of_the_provider() {
        let (sizing, bounds) = (EscrowSizing::default(), Bounds::default());
        let demand = Demand { prompt: 1000, output: None };
        let needs = |known: Known| bounds.offers(&pricing(&bounds), demand, vec![known]).unwrap()[0].needs;
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
        let escrow = bounds
            .offers(&pricing(&bounds), Demand { prompt: 130_000, output: None }, vec![dear])
            .unwrap()[0]
            .needs;
        assert!(escrow <= bounds.escrow_ceiling && escrow.plur() > bounds.escrow_ceiling.plur() * 99 / 100);
    }

    #[test]
    fn what_no_provider_may_be_paid_names_what_to_change() {
        let bounds = Bounds::default();
        let refused = |demand| {
            bounds.offers(&pricing(&bounds), demand, vec![known(1, USUAL), known(2, USUAL * 2)]).unwrap_err()
        };
        let OutOfBounds::Output { asked, most, .. } =
            refused(Demand { prompt: 256, output: Some(1_000_000) })
        else {
            panic!("the answer is too long");
        };
        assert_eq!(asked, 1_000_000);
        assert!(
            bounds
                .offers(&pricing(&bounds), Demand { prompt: 256, output: Some(most) }, vec![known(1, USUAL)])
                .is_ok()
        );
        assert!(
            bounds
                .offers(
                    &pricing(&bounds),
                    Demand { prompt: 256, output: Some(most + 3) },
                    vec![known(1, USUAL)]
                )
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
            prices in proptest::collection::vec(10_u128.pow(15)..10_u128.pow(17), 1..12),
            prompt in 256_u64..1_000_000,
            output in proptest::option::of(1_u64..1_000_000),
        ) {
            let bounds = Bounds::default();
            let listed = prices.iter().map(|price| known(1, *price)).collect();
            for offer in bounds.offers(&pricing(&bounds), Demand { prompt, output }, listed).unwrap_or_default() {
                prop_assert!(offer.needs <= bounds.escrow_ceiling);
                prop_assert!(offer.known.candidate.prices.combined() <= bounds.price_ceiling);
            }
        }
    }
}
