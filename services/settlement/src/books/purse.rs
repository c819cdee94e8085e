//! What the wallet can still spend: what the chain said, less what was promised since.
//!
//! A request asks the chain only if this does not cover it. What is known may be too low (a refund came) and is then
//! read again; if it is too high (somebody else spends from the wallet), the estimate before each post notices.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use t4t_types::Xbzz;

use super::amounts::Amounts;

/// What was read is good for this long when it says that something is short.
const FRESH: Duration = Duration::from_secs(1);

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

/// A snapshot of what was promised, so that a reading of the chain can be told from what was promised since.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
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
        let left = state.left.as_ref().ok_or(Short::Unknown)?;
        if left.xbzz < amounts.xbzz {
            return Err(Short::Xbzz { has: left.xbzz });
        }
        if !left.allowances.cover(&amounts.allowances) {
            return Err(Short::Allowance);
        }
        if left.wei < amounts.wei {
            return Err(Short::Wei);
        }
        state.left = Some(left.minus(&amounts));
        state.held = state.held.plus(&amounts);
        state.taken = state.taken.plus(&amounts);
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
    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot { held: state.held.clone(), taken: state.taken.clone() }
    }

    /// Notes what the chain says, less what the stored transactions (read before that) will take. What is stored or
    /// mined meanwhile counts twice until the next reading rather than not at all.
    pub(crate) fn fill(&self, before: &Snapshot, on_chain: &Amounts, pending: &Amounts, now_ms: u64) {
        let mut state = self.state();
        let taken_since = state.taken.minus(&before.taken);
        state.left = Some(on_chain.minus(pending).minus(&before.held).minus(&taken_since));
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
        state.held = state.held.minus(&self.amounts);
        if !self.is_spent {
            state.left = state.left.take().map(|left| left.plus(&self.amounts));
        }
    }
}

#[cfg(test)]
mod tests {
    use t4t_types::Address;

    use super::super::amounts::Allowances;
    use super::*;

    fn xbzz(plur: u128) -> Amounts {
        Amounts { xbzz: Xbzz::from_plur(plur), ..Amounts::default() }
    }

    fn purse(plur: u128) -> Arc<Purse> {
        let purse = Arc::new(Purse::default());
        purse.fill(&purse.snapshot(), &xbzz(plur), &Amounts::default(), 0);
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
        let before = purse.snapshot();
        purse.hold(xbzz(2)).unwrap().spent();
        purse.fill(&before, &xbzz(10), &Amounts::default(), 1);
        assert_eq!(purse.hold(xbzz(6)).unwrap_err(), Short::Xbzz { has: Xbzz::from_plur(5) });
        drop(held);
        assert!(purse.hold(xbzz(8)).is_ok());
    }

    #[test]
    fn what_one_contract_may_take_is_no_other_contracts() {
        let (one, other) = (Address::new([1; 20]), Address::new([2; 20]));
        let takes = |contract, plur| Amounts {
            allowances: Allowances::of(contract, Xbzz::from_plur(plur)),
            ..xbzz(plur)
        };
        let purse = Arc::new(Purse::default());
        let on_chain = Amounts { xbzz: Xbzz::from_plur(100), ..takes(one, 10) };
        purse.fill(&purse.snapshot(), &on_chain, &Amounts::default(), 0);
        assert_eq!(purse.hold(takes(other, 1)).unwrap_err(), Short::Allowance);
        purse.hold(takes(one, 7)).unwrap().spent();
        assert_eq!(purse.hold(takes(one, 4)).unwrap_err(), Short::Allowance);
        assert!(purse.hold(takes(one, 3)).is_ok());
    }
}
