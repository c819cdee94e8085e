//! Choosing a provider: pure, from what the directory says.

use t4t_api::registry_watcher::Candidate;

use super::config::Strategy;

/// Jobs from which on a provider has a record.
const SEASONED_JOBS: u32 = 20;

/// Successful jobs in a hundred that make a record a good one.
const GOOD_PERCENT: u64 = 95;

/// One request in this many goes to a newcomer, so that newcomers can earn a record.
const EXPLORATION: u64 = 20;

/// Chooses one of `candidates` (which are neither full nor tried before); `dice` is a random number.
pub(super) fn choose<'a>(
    strategy: &Strategy,
    candidates: &[&'a Candidate],
    dice: u64,
) -> Option<&'a Candidate> {
    match strategy {
        Strategy::Cheapest => cheapest(candidates.iter().copied()),
        Strategy::Manual(provider) => {
            candidates.iter().copied().find(|candidate| candidate.provider == *provider)
        }
        Strategy::TopReputationCheapest => top_reputation_cheapest(candidates, dice),
    }
}

/// `min_by_key` keeps the first of equals: the registry's order breaks ties.
fn cheapest<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Option<&'a Candidate> {
    candidates.min_by_key(|candidate| candidate.prices.combined())
}

fn top_reputation_cheapest<'a>(candidates: &[&'a Candidate], dice: u64) -> Option<&'a Candidate> {
    let is_newcomer = |candidate: &&Candidate| candidate.total_jobs < SEASONED_JOBS;
    let newcomers: Vec<&Candidate> = candidates.iter().copied().filter(is_newcomer).collect();
    let seasoned = cheapest(candidates.iter().copied().filter(has_good_record));
    if seasoned.is_some() && !newcomers.is_empty() && dice.is_multiple_of(EXPLORATION) {
        let index = usize::try_from(dice / EXPLORATION).unwrap_or_default() % newcomers.len();
        return newcomers.get(index).copied();
    }
    seasoned.or_else(|| cheapest(newcomers.into_iter())).or_else(|| cheapest(candidates.iter().copied()))
}

fn has_good_record(candidate: &&Candidate) -> bool {
    let (total, successful) = (u64::from(candidate.total_jobs), u64::from(candidate.successful_jobs));
    candidate.total_jobs >= SEASONED_JOBS && successful * 100 >= total * GOOD_PERCENT
}

#[cfg(test)]
mod tests {
    use t4t_types::{Address, EncryptionKey, Overlay, TokenPrices, Xbzz};

    use super::*;

    fn candidate(number: u8, price: u128, total_jobs: u32, successful_jobs: u32) -> Candidate {
        Candidate {
            provider: Address::new([number; 20]),
            sealing_key: EncryptionKey::ZERO,
            overlay: Overlay::ZERO,
            prices: TokenPrices { input: Xbzz::from_plur(price), output: Xbzz::ZERO },
            max_context_tokens: 0,
            stake: Xbzz::ZERO,
            total_jobs,
            successful_jobs,
            open_jobs: 0,
            max_concurrent_jobs: 0,
            live: true,
        }
    }

    fn chosen(strategy: Strategy, candidates: &[Candidate], dice: u64) -> Option<u8> {
        let all: Vec<&Candidate> = candidates.iter().collect();
        choose(&strategy, &all, dice).map(|candidate| candidate.provider.as_bytes()[0])
    }

    #[test]
    fn the_cheapest_wins_and_the_registry_breaks_ties() {
        let offers = [candidate(1, 5, 0, 0), candidate(2, 3, 0, 0), candidate(3, 3, 0, 0)];
        assert_eq!(chosen(Strategy::Cheapest, &offers, 0), Some(2));
        assert_eq!(chosen(Strategy::Cheapest, &[], 0), None);
    }

    #[test]
    fn a_good_record_beats_a_low_price_but_for_the_exploration_share() {
        let offers = [candidate(1, 1, 19, 19), candidate(2, 9, 20, 19), candidate(3, 2, 100, 94)];
        assert_eq!(chosen(Strategy::TopReputationCheapest, &offers, 1), Some(2));
        assert_eq!(chosen(Strategy::TopReputationCheapest, &offers, 20), Some(1), "one in twenty explores");
    }

    #[test]
    fn without_a_good_record_a_newcomer_comes_before_a_bad_record() {
        let offers = [candidate(1, 1, 100, 10), candidate(2, 9, 0, 0)];
        assert_eq!(chosen(Strategy::TopReputationCheapest, &offers, 1), Some(2));
        assert_eq!(chosen(Strategy::TopReputationCheapest, &offers[..1], 1), Some(1), "better than nobody");
    }

    #[test]
    fn manual_takes_the_named_one_or_none() {
        let offers = [candidate(1, 1, 0, 0), candidate(2, 9, 0, 0)];
        assert_eq!(chosen(Strategy::Manual(Address::new([2; 20])), &offers, 0), Some(2));
        assert_eq!(chosen(Strategy::Manual(Address::new([7; 20])), &offers, 0), None);
    }
}
