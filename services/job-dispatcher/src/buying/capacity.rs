//! How full the providers are, our own newest jobs counted: the directory lags, and a job that was answered no longer
//! takes a slot although the chain shows it as open until its claim is mined.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use t4t_api::registry_watcher::Candidate;
use t4t_clock::SharedClock;
use t4t_types::Address;

use super::ledger::AttemptId;

/// An answered job is taken off the directory's count for at most this long, should its claim never be seen.
const ANSWERED_COUNTS_MS: u64 = 60_000;

/// What this gateway has with each provider.
#[derive(Clone, Debug)]
pub(super) struct Capacity {
    clock: SharedClock,
    providers: Arc<Mutex<HashMap<Address, Ours>>>,
}

#[derive(Debug, Default)]
struct Ours {
    running: Vec<AttemptId>,
    /// Answered, and perhaps still open on the chain; with when they are forgotten.
    answered: Vec<(AttemptId, u64)>,
}

impl Ours {
    /// Whether these and what the directory shows beside them take all slots, or these alone as many as the provider
    /// may have of this gateway's at a time.
    fn fill(&mut self, candidate: &Candidate, at_a_time: u32, now_ms: u64) -> bool {
        self.answered.retain(|(_, until_ms)| *until_ms > now_ms);
        let count = |jobs: usize| u32::try_from(jobs).unwrap_or(u32::MAX);
        if count(self.running.len()) >= at_a_time {
            return true;
        }
        let working = candidate.open_jobs.saturating_sub(count(self.answered.len()));
        let slots = candidate.max_concurrent_jobs;
        slots > 0 && working.max(count(self.running.len())) >= slots
    }
}

impl Capacity {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, providers: Arc::default() }
    }

    /// Counts a job for a provider, which may have `at_a_time` of this gateway's, until the guard is dropped; `None` if the provider has no slot for it. Looking and
    /// counting are one step: of two requests that look at once, one gets the last slot.
    pub(super) fn reserve(
        &self,
        candidate: &Candidate,
        at_a_time: u32,
        id: AttemptId,
    ) -> Option<Reservation> {
        let now_ms = self.clock.unix_millis();
        let provider = candidate.provider;
        let is_reserved = self.with(provider, |ours| {
            let is_free = !ours.fill(candidate, at_a_time, now_ms);
            if is_free {
                ours.running.push(id);
            }
            is_free
        });
        is_reserved.then(|| Reservation { of: self.clone(), provider, id })
    }

    /// Whether a provider has no slot for another job.
    pub(super) fn fills(&self, candidate: &Candidate, at_a_time: u32) -> bool {
        let now_ms = self.clock.unix_millis();
        self.with(candidate.provider, |ours| ours.fill(candidate, at_a_time, now_ms))
    }

    /// The chain shows a job as settled: the directory no longer counts it.
    pub(super) fn settled(&self, provider: Address, id: AttemptId) {
        self.with(provider, |ours| ours.answered.retain(|(answered, _)| *answered != id));
    }

    fn with<T>(&self, provider: Address, change: impl FnOnce(&mut Ours) -> T) -> T {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        change(providers.entry(provider).or_default())
    }
}

/// A job that takes a slot.
#[derive(Debug)]
pub(super) struct Reservation {
    of: Capacity,
    provider: Address,
    id: AttemptId,
}

impl Reservation {
    /// The provider answered: its slot is free, though the chain does not say so yet.
    pub(super) fn answered(self) {
        let until_ms = self.of.clock.unix_millis().saturating_add(ANSWERED_COUNTS_MS);
        self.of.with(self.provider, |ours| ours.answered.push((self.id, until_ms)));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.of.with(self.provider, |ours| ours.running.retain(|running| *running != self.id));
    }
}

#[cfg(test)]
mod tests {
    use t4t_clock::ManualClock;
    use t4t_types::{EncryptionKey, Overlay, RequestId, TokenPrices, UnixSeconds, Xbzz};

    use super::*;

    fn candidate(open_jobs: u32) -> Candidate {
        Candidate {
            provider: Address::ZERO,
            sealing_key: EncryptionKey::ZERO,
            overlay: Overlay::ZERO,
            prices: TokenPrices::default(),
            max_context_tokens: 0,
            stake: Xbzz::ZERO,
            total_jobs: 0,
            successful_jobs: 0,
            open_jobs,
            max_concurrent_jobs: 2,
            live: true,
        }
    }

    #[test]
    fn jobs_not_yet_on_the_chain_count_and_answered_ones_do_not() {
        let capacity = Capacity::new(ManualClock::new(UnixSeconds::new(1)));
        let id = |attempt| (RequestId::ZERO, attempt);
        let first = capacity.reserve(&candidate(0), 9, id(1)).unwrap();
        assert!(!capacity.fills(&candidate(0), 9));
        let second = capacity.reserve(&candidate(0), 9, id(2)).unwrap();
        assert!(capacity.reserve(&candidate(0), 9, id(3)).is_none(), "there are two slots");
        assert!(capacity.fills(&candidate(0), 9), "two of ours, none on the chain yet");
        first.answered();
        second.answered();
        assert!(!capacity.fills(&candidate(2), 9), "both are answered, the chain still shows them");
        assert!(capacity.fills(&candidate(4), 9), "two of somebody else's");
        capacity.settled(Address::ZERO, id(1));
        assert!(capacity.fills(&candidate(3), 9));
    }

    #[test]
    fn a_stranger_has_one_job_at_a_time_whatever_slots_it_names() {
        let capacity = Capacity::new(ManualClock::new(UnixSeconds::new(1)));
        let boasting = Candidate { max_concurrent_jobs: 0, ..candidate(0) };
        let first = capacity.reserve(&boasting, 1, (RequestId::ZERO, 1)).unwrap();
        assert!(capacity.reserve(&boasting, 1, (RequestId::ZERO, 2)).is_none());
        first.answered();
        assert!(capacity.reserve(&boasting, 1, (RequestId::ZERO, 2)).is_some());
    }
}
