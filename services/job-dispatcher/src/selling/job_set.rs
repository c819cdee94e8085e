//! Sets of jobs, and what somebody works on now.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use t4t_panics::Lock;
use t4t_types::JobId;

/// The most jobs that a set which may forget remembers.
const REMEMBERED_JOBS: usize = 4096;

/// A set of jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobSet(Arc<Lock<HashSet<JobId>>>);

impl JobSet {
    /// Adds a job.
    pub(crate) fn insert(&self, job: JobId) {
        self.0.lock().insert(job);
    }

    /// Adds a job to a set that may forget: of too many, none is known any more.
    pub(crate) fn insert_of_few(&self, job: JobId) {
        let mut jobs = self.0.lock();
        if jobs.len() >= REMEMBERED_JOBS {
            jobs.clear();
        }
        jobs.insert(job);
    }

    /// Those that are in it now.
    pub(crate) fn all(&self) -> HashSet<JobId> {
        self.0.lock().clone()
    }

    pub(crate) fn contains(&self, job: &JobId) -> bool {
        self.0.lock().contains(job)
    }

    pub(crate) fn remove(&self, job: &JobId) {
        self.0.lock().remove(job);
    }
}

/// Things that somebody works on now: no two work on the same.
#[derive(Clone, Debug)]
pub(crate) struct InFlight<T: Eq + Hash + Clone>(Arc<Lock<HashSet<T>>>);

impl<T: Eq + Hash + Clone> Default for InFlight<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Eq + Hash + Clone> InFlight<T> {
    /// Enters a thing; `None` if somebody works on it already.
    pub(crate) fn enter(&self, thing: T) -> Option<InFlightGuard<T>> {
        let is_new = self.0.lock().insert(thing.clone());
        is_new.then(|| InFlightGuard { of: self.clone(), thing })
    }

    pub(crate) fn contains(&self, thing: &T) -> bool {
        self.0.lock().contains(thing)
    }
}

/// Leaves when dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard<T: Eq + Hash + Clone> {
    of: InFlight<T>,
    thing: T,
}

impl<T: Eq + Hash + Clone> Drop for InFlightGuard<T> {
    fn drop(&mut self) {
        self.of.0.lock().remove(&self.thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_works_on_is_free_again_once_it_is_left() {
        let in_flight = InFlight::default();
        let entered = in_flight.enter(1);
        assert!(entered.is_some() && in_flight.enter(1).is_none() && in_flight.contains(&1));
        drop(entered);
        assert!(in_flight.enter(1).is_some() && !in_flight.contains(&2));
    }

    #[test]
    fn a_set_that_may_forget_is_bounded() {
        let jobs = JobSet::default();
        for number in 0..=u16::try_from(REMEMBERED_JOBS).unwrap() {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            jobs.insert_of_few(JobId::new(bytes));
        }
        assert_eq!(jobs.all().len(), 1, "of too many, only the last is known");
    }
}
