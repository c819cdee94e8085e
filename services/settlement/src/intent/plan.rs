//! A transaction before it is signed: its call, its gas, and what it takes from the wallet.

use t4t_chain::Call;
use t4t_types::{Address, Wei, Xbzz};

/// Gas that no call of the token needs, no coin that is sent, and no call of the registry beside what it stores.
pub(super) const MOST_USUAL_GAS: u64 = 500_000;

/// What a transaction calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Contract and calldata.
    pub(crate) call: Call,
    /// The coin that goes along.
    pub(crate) value: Wei,
    /// How much gas it gets.
    pub(crate) gas: Gas,
    /// xBZZ that leave the wallet.
    pub(crate) spends: Xbzz,
    /// The contract that takes them by its allowance; `None` where the wallet sends them.
    pub(crate) spender: Option<Spender>,
}

/// How much gas a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gas {
    /// So much is known to do, where a wrong call costs next to nothing and time counts.
    Fixed(u64),
    /// What the chain estimates, within bounds: an estimate may be false.
    Estimated {
        /// Whatever the estimate says, so much.
        least: u64,
        /// No more than this.
        most: u64,
    },
}

/// A contract that takes xBZZ by an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spender {
    /// The contract.
    pub(crate) contract: Address,
    /// Whether it takes so often that one approval should do for a day.
    pub(crate) takes_often: bool,
}

impl Plan {
    /// A call that takes nothing but gas.
    pub(super) const fn of(call: Call, gas: Gas) -> Self {
        Self { call, value: Wei::ZERO, gas, spends: Xbzz::ZERO, spender: None }
    }

    /// The same, by which a contract takes `amount` from the wallet.
    pub(super) fn taken_by(self, spender: Spender, amount: Xbzz) -> Self {
        Self { spends: amount, spender: Some(spender), ..self }
    }
}
