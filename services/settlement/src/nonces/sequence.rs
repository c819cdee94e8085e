//! The wallet's sequence of nonces, as one reading of the chain and the database has it.

use std::collections::{BTreeMap, BTreeSet};

use t4t_chain::Fees;
use t4t_store::transactions::{StoredTransaction, TransactionState};

/// Nonces beyond our own that are left to another program which uses the wallet, on one endpoint's word; and places that
/// are filled for a payment behind them.
pub(crate) const FEW: u64 = 4;

/// The wallet's sequence: the next nonce, those above it that are taken, and what was once signed for others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    /// The lowest nonce that nothing holds.
    pub(crate) next: u64,
    held: BTreeSet<u64>,
    left_behind: BTreeMap<u64, Fees>,
}

impl Sequence {
    pub(super) fn new(start: u64, held: BTreeSet<u64>) -> Self {
        let next = lowest_free(start, &held);
        Self { next, held, left_behind: BTreeMap::new() }
    }

    /// Notes what was once signed for a place, so that what comes there now pays more.
    pub(super) fn note_left_behind(&mut self, nonce: u64, fees: Fees) {
        let entry = self.left_behind.entry(nonce).or_insert(fees);
        *entry = entry.at_least(fees);
    }

    /// Whether a count lies further beyond all that is stored here than another program explains.
    pub(super) fn is_far_below(&self, counted: u64) -> bool {
        let top = self.held.last().map_or(self.next, |highest| highest.saturating_add(1).max(self.next));
        // What lies beyond a hole of ours is no witness: that is what a false count leaves behind.
        let is_beyond_a_hole = self.next < top && top - self.next > self.held.len() as u64 + FEW;
        let reached = if is_beyond_a_hole { self.next } else { top };
        counted > reached.saturating_add(FEW)
    }

    /// The sequence once the next nonce is given out.
    pub(crate) fn advanced(mut self) -> Self {
        self.next = lowest_free(self.next.saturating_add(1), &self.held);
        self
    }

    /// What the next transaction pays: more than anything that was once signed for its place and may still lie somewhere.
    pub(crate) fn fees(&self, usual: Fees) -> Fees {
        self.left_behind.get(&self.next).map_or(usual, |old| old.bumped().at_least(usual))
    }
}

fn lowest_free(from: u64, held: &BTreeSet<u64>) -> u64 {
    let mut next = from;
    for nonce in held.range(from..) {
        if *nonce > next {
            break;
        }
        next = nonce.saturating_add(1);
    }
    next
}

/// Places from `used` on that nothing open holds, below a nonce.
pub(crate) fn holes(used: u64, below: u64, open: &[StoredTransaction]) -> u64 {
    let held: BTreeSet<u64> =
        open.iter().flat_map(nonces).filter(|nonce| (used..below).contains(nonce)).collect();
    below.saturating_sub(used).saturating_sub(held.len() as u64)
}

/// The nonces that an open transaction holds.
pub(super) fn nonces(row: &StoredTransaction) -> Vec<u64> {
    let mined = match &row.state {
        TransactionState::Included { inclusion, .. } => Some(inclusion.hash),
        TransactionState::Pending => None,
    };
    let of_mined =
        row.versions.iter().filter(|version| Some(version.hash) == mined).map(|version| version.nonce);
    std::iter::once(row.nonce).chain(of_mined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_nonce_is_given_out_and_what_is_held_is_passed_over() {
        let mut sequence = Sequence::new(5, [5, 6, 8, 300].into());
        let mut given = Vec::new();
        for _ in 0..4 {
            given.push(sequence.next);
            sequence = sequence.advanced();
        }
        assert_eq!(given, [7, 9, 10, 11]);
        assert_eq!(Sequence::new(299, [300].into()).advanced().next, 301);
    }

    #[test]
    fn a_place_for_which_something_was_signed_before_costs_more() {
        let old = Fees { max_fee: 100, max_priority: 10 };
        let mut sequence = Sequence::new(5, BTreeSet::new());
        sequence.note_left_behind(5, old);
        let fees = sequence.fees(Fees { max_fee: 50, max_priority: 10 });
        assert!(fees.max_fee > 100 && fees.max_priority > 10);
        assert_eq!(sequence.advanced().fees(old), old);
    }

    #[test]
    fn a_lone_count_is_believed_a_few_steps_beyond_what_is_stored() {
        let own = Sequence::new(5, [5, 6].into());
        assert!(!own.is_far_below(7 + FEW));
        assert!(own.is_far_below(8 + FEW));
        let poisoned = Sequence::new(5, [305, 306].into());
        assert!(poisoned.is_far_below(307) && !poisoned.is_far_below(5));
    }
}
