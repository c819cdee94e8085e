//! Amounts of all that can run short, added up and compared.

use std::collections::BTreeMap;

use t4t_types::{Address, Xbzz};

/// Amounts of all that can run short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// The chain's own coin, in wei.
    pub(crate) wei: u128,
    /// The token.
    pub(crate) xbzz: Xbzz,
    /// What contracts may take of it.
    pub(crate) allowances: Allowances,
}

/// What contracts may take, by contract. One that is not named may take nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowances(BTreeMap<Address, Xbzz>);

impl Amounts {
    /// Adds, stopping at the largest amounts.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            wei: self.wei.saturating_add(other.wei),
            xbzz: self.xbzz.saturating_add(other.xbzz),
            allowances: self.allowances.with(&other.allowances, Xbzz::saturating_add),
        }
    }

    /// The higher of both in each.
    pub(crate) fn most(&self, other: &Self) -> Self {
        Self {
            wei: self.wei.max(other.wei),
            xbzz: self.xbzz.max(other.xbzz),
            allowances: self.allowances.with(&other.allowances, Xbzz::max),
        }
    }

    /// The higher allowances and the lower balances.
    pub(crate) fn least_held(&self, other: &Self) -> Self {
        Self { wei: self.wei.min(other.wei), xbzz: self.xbzz.min(other.xbzz), ..self.most(other) }
    }

    /// Subtracts, stopping at zero. An allowance without limit is not used up.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        let left = |has: Xbzz, taken| if has == Xbzz::MAX { has } else { has.saturating_sub(taken) };
        Self {
            wei: self.wei.saturating_sub(other.wei),
            xbzz: self.xbzz.saturating_sub(other.xbzz),
            allowances: self.allowances.with(&other.allowances, left),
        }
    }
}

impl Allowances {
    /// What one contract may take, or takes.
    pub(crate) fn of(contract: Address, amount: Xbzz) -> Self {
        Self(BTreeMap::from([(contract, amount)]))
    }

    /// What a contract may take.
    pub(crate) fn get(&self, contract: Address) -> Xbzz {
        self.0.get(&contract).copied().unwrap_or(Xbzz::ZERO)
    }

    /// Whether these cover what others take.
    pub(crate) fn cover(&self, takes: &Self) -> bool {
        takes.0.iter().all(|(contract, amount)| self.get(*contract) >= *amount)
    }

    /// What `combine` makes of both, for each contract that is named in one.
    fn with(&self, other: &Self, combine: impl Fn(Xbzz, Xbzz) -> Xbzz) -> Self {
        let contracts = self.0.keys().chain(other.0.keys());
        Self(contracts.map(|one| (*one, combine(self.get(*one), other.get(*one)))).collect())
    }
}

impl FromIterator<(Address, Xbzz)> for Allowances {
    fn from_iter<I: IntoIterator<Item = (Address, Xbzz)>>(each: I) -> Self {
        Self(each.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Address = Address::new([1; 20]);
    const OTHER: Address = Address::new([2; 20]);

    fn amounts(wei: u128, one: u128, other: u128) -> Amounts {
        let allowances = [(ONE, Xbzz::from_plur(one)), (OTHER, Xbzz::from_plur(other))];
        Amounts { wei, xbzz: Xbzz::from_plur(wei), allowances: allowances.into_iter().collect() }
    }

    #[test]
    fn an_unlimited_allowance_is_not_used_up() {
        let limitless = Amounts { allowances: Allowances::of(ONE, Xbzz::MAX), ..Amounts::default() };
        assert_eq!(limitless.minus(&limitless), limitless);
    }

    #[test]
    fn each_contract_has_its_own_allowance() {
        let sum = amounts(1, 2, 3).plus(&amounts(10, 20, 30));
        assert_eq!(sum, amounts(11, 22, 33));
        assert_eq!(sum.minus(&amounts(1, 22, 100)), amounts(10, 0, 0));
        let takes = Allowances::of(OTHER, Xbzz::from_plur(1));
        assert!(sum.allowances.cover(&takes) && sum.allowances.cover(&Allowances::default()));
        assert!(!Allowances::of(ONE, Xbzz::MAX).cover(&takes), "another contract's allowance is no help");
    }

    #[test]
    fn of_two_readings_the_one_that_says_most_or_holds_least_counts() {
        let (poor, rich) = (amounts(1, 9, 0), amounts(5, 2, 4));
        assert_eq!(poor.most(&rich), amounts(5, 9, 4));
        assert_eq!(poor.least_held(&rich), amounts(1, 9, 4));
    }
}
