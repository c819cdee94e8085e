//! What goes wrong, how often, and how often it did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Dice;

/// Hears of every fault.
type Tell<F> = Arc<dyn Fn(F) + Send + Sync>;

/// Faults with a probability each, the dice, and counters.
pub(crate) struct Plan<F> {
    state: Mutex<State<F>>,
}

struct State<F> {
    faults: Vec<(F, f64)>,
    dice: Dice,
    counts: BTreeMap<F, u64>,
    tell: Option<Tell<F>>,
}

impl<F: Copy + Ord> Plan<F> {
    /// Nothing goes wrong yet.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State { faults: Vec::new(), dice: Dice::new(seed), counts: BTreeMap::new(), tell: None };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these go wrong.
    pub(crate) fn set(&self, faults: Vec<(F, f64)>) {
        self.state().faults = faults;
    }

    /// From now on this hears of every fault.
    pub(crate) fn tell(&self, tell: Tell<F>) {
        self.state().tell = Some(tell);
    }

    /// The fault that happens to something, of those that can happen to it, if one does.
    pub(crate) fn fault(&self, concerns: impl Fn(F) -> bool) -> Option<F> {
        let mut state = self.state();
        let possible: Vec<(F, f64)> =
            state.faults.iter().copied().filter(|(fault, _)| concerns(*fault)).collect();
        if possible.is_empty() {
            return None;
        }
        let thrown = state.dice.throw();
        let mut reached = 0.0;
        let (fault, _) = possible.into_iter().find(|(_, rate)| {
            reached += rate;
            thrown < reached
        })?;
        *state.counts.entry(fault).or_default() += 1;
        let tell = state.tell.clone();
        drop(state);
        if let Some(tell) = tell {
            tell(fault);
        }
        Some(fault)
    }

    /// Whether something with this probability happens now.
    pub(crate) fn happens(&self, probability: f64) -> bool {
        self.state().dice.happens(probability)
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&self, least: u64, most: u64) -> u64 {
        self.state().dice.between(least, most)
    }

    /// How often each fault happened that did.
    pub(crate) fn counts(&self) -> BTreeMap<F, u64> {
        self.state().counts.clone()
    }

    /// How often something went wrong.
    pub(crate) fn injected(&self) -> u64 {
        self.state().counts.values().sum()
    }
}

impl<F: fmt::Debug> fmt::Debug for Plan<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Plan").field("faults", &state.faults).field("counts", &state.counts).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_faults_happen_at_their_own_rates_and_are_counted_and_told() {
        let plan = Plan::new(1);
        let told = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&told);
        plan.tell(Arc::new(move |_| *counter.lock().unwrap() += 1));
        plan.set(vec![('a', 0.1), ('b', 0.3), ('c', 0.5)]);
        for _ in 0..10_000 {
            assert_ne!(plan.fault(|fault| fault != 'c'), Some('c'));
        }
        let counts = plan.counts();
        assert!((900..1100).contains(&counts[&'a']), "{counts:?}");
        assert!((2800..3200).contains(&counts[&'b']), "{counts:?}");
        assert_eq!(plan.injected(), *told.lock().unwrap());
        plan.set(Vec::new());
        assert_eq!(plan.fault(|_| true), None);
    }
}
