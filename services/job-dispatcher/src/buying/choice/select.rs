//! Choosing among the offers that are within the bounds: pure.
//!
//! A record orders offers, and no more: each stands for a price that is somewhat higher than stated. What this gateway
//! saw itself counts for more than what the chain shows, which a provider can make for gas.

use t4t_types::{Address, Xbzz};

use super::bounds::Offer;

/// Jobs from which on a provider has a record on the chain.
const SEASONED_JOBS: u32 = 20;

/// Successful jobs in a hundred that make a record a good one.
const GOOD_PERCENT: u64 = 95;

/// One request in this many goes to a provider that this gateway does not know, as far as the budget for that goes.
const EXPLORATION: u64 = 20;

/// What an offer's price counts as, in percent, by what is known of the provider.
const KNOWN: u128 = 100;
const GOOD_RECORD: u128 = 125;
const NO_RECORD: u128 = 150;
const BAD_RECORD: u128 = 300;

/// How a provider is chosen among those that offer the model and are not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The lowest input and output price together; ties by registry order.
    Cheapest,
    /// The cheapest, where a price counts as higher the less is known of the provider: by its answers to this gateway,
    /// then by its record on the chain. Strangers are tried as far as the budget for that goes.
    TopReputationCheapest,
    /// This provider and no other.
    Manual(Address),
}

/// What is chosen from.
pub(super) struct Choice<'s, 'a, F> {
    pub(super) strategy: &'s Strategy,
    /// The offers of providers that have a slot and were not tried.
    pub(super) free: &'s [&'a Offer],
    /// Whether this gateway knows a provider of the model, be it free or not: others are explored then.
    pub(super) knows_one: bool,
    /// Whether an offer may be given a job to find out what its provider is worth.
    pub(super) may_explore: F,
    /// A random number.
    pub(super) dice: u64,
}

/// An offer that was chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen<'a> {
    pub(super) offer: &'a Offer,
    /// Whether it is to find out what the provider is worth.
    pub(super) explores: bool,
}

impl<'a, F: Fn(&Offer) -> bool> Choice<'_, 'a, F> {
    pub(super) fn choose(&self) -> Option<Chosen<'a>> {
        let sure = |offer| Chosen { offer, explores: false };
        match self.strategy {
            Strategy::Cheapest => least(self.free.iter().copied(), |offer| offer.price.plur()).map(sure),
            Strategy::Manual(provider) => {
                self.free.iter().copied().find(|offer| offer.known.candidate.provider == *provider).map(sure)
            }
            Strategy::TopReputationCheapest if !self.knows_one => {
                least(self.free.iter().copied(), rank).map(sure)
            }
            Strategy::TopReputationCheapest => self.known_or_explored(),
        }
    }

    fn known_or_explored(&self) -> Option<Chosen<'a>> {
        let explores = |offer| Chosen { offer, explores: true };
        let explorable: Vec<&Offer> = self
            .free
            .iter()
            .copied()
            .filter(|offer| !offer.is_known() && (self.may_explore)(offer))
            .collect();
        if self.dice.is_multiple_of(EXPLORATION) && !explorable.is_empty() {
            let at = usize::try_from(self.dice / EXPLORATION).unwrap_or_default() % explorable.len();
            return explorable.get(at).copied().map(explores);
        }
        let known = least(self.free.iter().copied().filter(|offer| offer.is_known()), rank);
        let stranger = least(explorable.into_iter(), rank);
        match (known, stranger) {
            (Some(known), Some(stranger)) if rank(stranger) < rank(known) => Some(explores(stranger)),
            (Some(offer), _) => Some(Chosen { offer, explores: false }),
            (None, stranger) => stranger.map(explores),
        }
    }
}

/// `min_by_key` keeps the first of equals: the registry's order breaks ties.
fn least<'a>(offers: impl Iterator<Item = &'a Offer>, key: impl Fn(&Offer) -> u128) -> Option<&'a Offer> {
    offers.min_by_key(|offer| key(offer))
}

/// What an offer counts as.
fn rank(offer: &Offer) -> u128 {
    let candidate = &offer.known.candidate;
    let (total, successful) = (u64::from(candidate.total_jobs), u64::from(candidate.successful_jobs));
    let percent = if offer.is_known() {
        KNOWN
    } else if candidate.total_jobs < SEASONED_JOBS {
        NO_RECORD
    } else if successful * 100 >= total * GOOD_PERCENT {
        GOOD_RECORD
    } else {
        BAD_RECORD
    };
    // At least one, so that free offers are ordered too.
    offer.price.max(Xbzz::from_plur(1)).plur().saturating_mul(percent)
}

#[cfg(test)]
mod tests {
    use t4t_types::Address;

    use super::super::bounds::KNOWN_FROM;
    use super::super::bounds::tests::known;
    use super::*;

    /// An offer; `record` is the chain's (jobs, successful), `answered` what this gateway saw.
    fn offer(number: u8, price: u128, record: (u32, u32), answered: u32) -> Offer {
        let mut known = known(number, price);
        (known.candidate.total_jobs, known.candidate.successful_jobs) = record;
        known.answered = answered;
        let price = Xbzz::from_plur(price);
        Offer { known, price, needs: price, is_usual: true }
    }

    const TOP: Strategy = Strategy::TopReputationCheapest;

    fn chosen(strategy: Strategy, offers: &[Offer], may_explore: bool, dice: u64) -> Option<(u8, bool)> {
        let free: Vec<&Offer> = offers.iter().collect();
        let knows_one = offers.iter().any(Offer::is_known);
        let choice = Choice {
            strategy: &strategy,
            free: &free,
            knows_one,
            may_explore: |_: &Offer| may_explore,
            dice,
        };
        choice.choose().map(|chosen| (chosen.offer.known.candidate.provider.as_bytes()[0], chosen.explores))
    }

    #[test]
    fn the_cheapest_wins_and_the_registry_breaks_ties() {
        let offers = [offer(1, 5, (0, 0), 0), offer(2, 3, (0, 0), 0), offer(3, 3, (0, 0), 0)];
        assert_eq!(chosen(Strategy::Cheapest, &offers, true, 0), Some((2, false)));
        assert_eq!(chosen(Strategy::Cheapest, &[], true, 0), None);
    }

    #[test]
    fn a_record_on_the_chain_orders_offers_of_about_the_same_price_and_wins_at_no_other() {
        let seasoned = |price| [offer(1, 100, (0, 0), 0), offer(2, price, (100, 100), 0)];
        assert_eq!(chosen(TOP, &seasoned(110), true, 1), Some((2, false)));
        assert_eq!(chosen(TOP, &seasoned(1_000), true, 1), Some((1, false)), "a record is made for gas");
        let bad = [offer(1, 100, (100, 50), 0), offer(2, 150, (0, 0), 0)];
        assert_eq!(chosen(TOP, &bad, true, 1), Some((2, false)));
        assert_eq!(chosen(TOP, &bad[..1], true, 1), Some((1, false)), "better than nobody");
    }

    #[test]
    fn what_this_gateway_saw_counts_for_more_than_what_the_chain_shows() {
        let offers = [offer(1, 100, (100, 100), 0), offer(2, 110, (0, 0), KNOWN_FROM)];
        assert_eq!(chosen(TOP, &offers, true, 1), Some((2, false)));
    }

    #[test]
    fn strangers_are_tried_only_as_far_as_the_budget_goes() {
        let offers = [offer(1, 10, (0, 0), 0), offer(2, 100, (0, 0), KNOWN_FROM), offer(3, 300, (0, 0), 0)];
        assert_eq!(chosen(TOP, &offers, true, 1), Some((1, true)), "a cheaper one is worth a try");
        assert_eq!(chosen(TOP, &offers, false, 1), Some((2, false)));
        assert_eq!(chosen(TOP, &offers, true, 20), Some((3, true)), "one in twenty tries any");
        assert_eq!(chosen(TOP, &offers, false, 20), Some((2, false)));
    }

    #[test]
    fn manual_takes_the_named_one_or_none() {
        let offers = [offer(1, 1, (0, 0), 0), offer(2, 9, (0, 0), 0)];
        assert_eq!(chosen(Strategy::Manual(Address::new([2; 20])), &offers, true, 0), Some((2, false)));
        assert_eq!(chosen(Strategy::Manual(Address::new([7; 20])), &offers, true, 0), None);
    }
}
