//! What the wallet can still spend: what the chain said, less what was promised since.
//!
//! A request asks the chain only if this does not cover it. What is known may be too low (a refund came) and is then
//! read again; if it is too high (somebody else spends from the wallet), the estimate before each post notices.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use t4t_types::Xbzz;

/// What was read is good for this long when it says that something is short.
const FRESH: Duration = Duration::from_secs(1);

/// Amounts of all that can run short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// The chain's own coin, in wei.
    pub(crate) wei: u128,
    /// The token.
    pub(crate) xbzz: Xbzz,
    /// What the escrow may take.
    pub(crate) escrow_allowance: Xbzz,
    /// What the registry may take.
    pub(crate) registry_allowance: Xbzz,
}

impl Amounts {
    /// Adds, stopping at the largest amounts.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            wei: self.wei.saturating_add(other.wei),
            xbzz: self.xbzz.saturating_add(other.xbzz),
            escrow_allowance: self.escrow_allowance.saturating_add(other.escrow_allowance),
            registry_allowance: self.registry_allowance.saturating_add(other.registry_allowance),
        }
    }

    /// The higher of both in each.
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            wei: self.wei.max(other.wei),
            xbzz: self.xbzz.max(other.xbzz),
            escrow_allowance: self.escrow_allowance.max(other.escrow_allowance),
            registry_allowance: self.registry_allowance.max(other.registry_allowance),
        }
    }

    /// The higher allowances and the lower balances.
    pub(crate) fn least_held(self, other: Self) -> Self {
        Self { wei: self.wei.min(other.wei), xbzz: self.xbzz.min(other.xbzz), ..self.most(other) }
    }

    /// Whether an allowance covers what another one takes.
    pub(crate) fn allows(self, takes: Self) -> bool {
        self.escrow_allowance >= takes.escrow_allowance && self.registry_allowance >= takes.registry_allowance
    }

    /// Subtracts, stopping at zero. An allowance without limit is not used up.
    pub(crate) fn minus(self, other: Self) -> Self {
        let left = |has: Xbzz, taken| if has == Xbzz::MAX { has } else { has.saturating_sub(taken) };
        Self {
            wei: self.wei.saturating_sub(other.wei),
            xbzz: self.xbzz.saturating_sub(other.xbzz),
            escrow_allowance: left(self.escrow_allowance, other.escrow_allowance),
            registry_allowance: left(self.registry_allowance, other.registry_allowance),
        }
    }
}

/// What does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// Nothing was read yet.
    Unknown,
    /// The token.
    Xbzz {
        /// What is left.
        has: Xbzz,
    },
    /// What a contract may take.
    Allowance,
    /// The coin for gas.
    Wei,
}

/// What the wallet can still spend.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is left, as far as known.
    left: Option<Amounts>,
    read_at_ms: u64,
    /// Held by submissions that are not stored yet.
    held: Amounts,
    /// All that was ever held.
    taken: Amounts,
}

/// A moment in the purse's life, from which what is read now can be carried on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    held: Amounts,
    taken: Amounts,
}

impl Purse {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds amounts for a submission.
    pub(crate) fn hold(self: &Arc<Self>, amounts: Amounts) -> Result<Held, Short> {
        let mut state = self.state();
        let left = state.left.ok_or(Short::Unknown)?;
        if left.xbzz < amounts.xbzz {
            return Err(Short::Xbzz { has: left.xbzz });
        }
        if left.escrow_allowance < amounts.escrow_allowance
            || left.registry_allowance < amounts.registry_allowance
        {
            return Err(Short::Allowance);
        }
        if left.wei < amounts.wei {
            return Err(Short::Wei);
        }
        state.left = Some(left.minus(amounts));
        state.held = state.held.plus(amounts);
        state.taken = state.taken.plus(amounts);
        Ok(Held { purse: Arc::clone(self), amounts, is_spent: false })
    }

    /// Whether what is known was read just now.
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        let state = self.state();
        state.left.is_some()
            && now_ms.saturating_sub(state.read_at_ms) < u64::try_from(FRESH.as_millis()).unwrap_or(0)
    }

    /// Forgets what is known.
    pub(crate) fn forget(&self) {
        self.state().left = None;
    }

    /// To be taken before the stored transactions are read for [`Self::fill`].
    pub(crate) fn mark(&self) -> Mark {
        let state = self.state();
        Mark { held: state.held, taken: state.taken }
    }

    /// Notes what the chain says, less what the stored transactions (read before that) will take. What is stored or
    /// mined meanwhile counts twice until the next reading rather than not at all.
    pub(crate) fn fill(&self, mark: Mark, on_chain: Amounts, pending: Amounts, now_ms: u64) {
        let mut state = self.state();
        let taken_since = state.taken.minus(mark.taken);
        state.left = Some(on_chain.minus(pending).minus(mark.held).minus(taken_since));
        state.read_at_ms = now_ms;
    }
}

/// Amounts held for a submission; given back when dropped, unless they were spent.
#[derive(Debug)]
pub(crate) struct Held {
    purse: Arc<Purse>,
    amounts: Amounts,
    is_spent: bool,
}

impl Held {
    /// The submission is stored, and its transaction takes the amounts.
    pub(crate) fn spent(mut self) {
        self.is_spent = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.purse.state();
        state.held = state.held.minus(self.amounts);
        if !self.is_spent {
            state.left = state.left.map(|left| left.plus(self.amounts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xbzz(plur: u128) -> Amounts {
        Amounts { xbzz: Xbzz::from_plur(plur), ..Amounts::default() }
    }

    fn purse(plur: u128) -> Arc<Purse> {
        let purse = Arc::new(Purse::default());
        purse.fill(purse.mark(), xbzz(plur), Amounts::default(), 0);
        purse
    }

    #[test]
    fn what_is_held_can_not_be_held_twice_and_comes_back_if_it_was_not_spent() {
        let purse = purse(10);
        let first = purse.hold(xbzz(6)).unwrap();
        assert_eq!(purse.hold(xbzz(6)).unwrap_err(), Short::Xbzz { has: Xbzz::from_plur(4) });
        drop(first);
        purse.hold(xbzz(6)).unwrap().spent();
        assert!(purse.hold(xbzz(6)).is_err());
    }

    #[test]
    fn a_reading_does_not_forget_what_is_held_or_was_taken_meanwhile() {
        let purse = purse(10);
        let held = purse.hold(xbzz(3)).unwrap();
        let mark = purse.mark();
        purse.hold(xbzz(2)).unwrap().spent();
        purse.fill(mark, xbzz(10), Amounts::default(), 1);
        assert_eq!(purse.hold(xbzz(6)).unwrap_err(), Short::Xbzz { has: Xbzz::from_plur(5) });
        drop(held);
        assert!(purse.hold(xbzz(8)).is_ok());
    }

    #[test]
    fn an_unlimited_allowance_is_not_used_up() {
        let limitless = Amounts { escrow_allowance: Xbzz::MAX, ..Amounts::default() };
        assert_eq!(limitless.minus(limitless), limitless);
    }
}
