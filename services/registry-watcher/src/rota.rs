//! Wallets that wait for their turn, each in turn.

use std::collections::BTreeSet;
use std::ops::Bound;

use t4t_types::Address;

/// Wallets that wait for their turn. One that is added again and again does not keep others from theirs.
#[derive(Debug, Default)]
pub(crate) struct Rota {
    waiting: BTreeSet<Address>,
    last: Address,
}

impl Rota {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn add(&mut self, wallet: Address) {
        self.waiting.insert(wallet);
    }

    pub(crate) fn extend(&mut self, wallets: impl IntoIterator<Item = Address>) {
        self.waiting.extend(wallets);
    }

    /// Takes the next `count` wallets, or all if fewer wait.
    pub(crate) fn next(&mut self, count: usize) -> Vec<Address> {
        let after = (Bound::Excluded(self.last), Bound::Unbounded);
        let ring = self.waiting.range(after).chain(self.waiting.range(..=self.last));
        let taken: Vec<Address> = ring.take(count).copied().collect();
        for wallet in &taken {
            self.waiting.remove(wallet);
            self.last = *wallet;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_even_if_some_come_back_at_once() {
        let wallet = |number| Address::new([number; 20]);
        let mut rota = Rota::default();
        rota.extend((0..5).map(wallet));
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            let taken = rota.next(2);
            seen.extend(taken.clone());
            rota.extend(taken);
        }
        assert_eq!(seen.len(), 5);
        assert_eq!(rota.next(10).len(), 5);
        assert!(rota.is_empty());
    }
}
