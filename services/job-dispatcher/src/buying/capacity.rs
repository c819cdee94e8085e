//! How full the providers are, our own newest jobs counted: the directory lags, and a job that was answered no longer
//! takes a slot although the chain shows it as open until its claim is mined.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::Candidate;
use t4t_clock::SharedClock;
use t4t_panics::Lock;
use t4t_types::{Address, Xbzz};

use super::attempt::AttemptId;

/// An answered job is taken off the directory's count for at most this long, should its claim never be seen.
const ANSWERED_COUNTS_MS: u64 = 60_000;

/// A job that was paid for counts until its money has come to an end; beyond its deadline by so long, the sweep has seen
/// to that.
const CLAIM_GRACE_MS: u64 = 30 * 60_000;

/// What this gateway has with each provider.
#[derive(Clone, Debug)]
pub(super) struct Capacity {
    clock: SharedClock,
    /// How long what was answered may be claimed.
    claimed_within_ms: u64,
    providers: Arc<Lock<HashMap<Address, Ours>>>,
}

#[derive(Debug, Default)]
struct Ours {
    running: Vec<(AttemptId, Xbzz)>,
    /// Answered, and perhaps still open on the chain; with when they are forgotten.
    answered: Vec<(AttemptId, u64)>,
    /// Answered, and what is taken for it is not known yet; with when they are forgotten.
    unclaimed: Vec<(AttemptId, Xbzz, u64)>,
}

impl Ours {
    /// Whether these and what the directory shows beside them take all slots, or these alone have as much money in escrow as
    /// the provider may have of this gateway's at a time; one job it may always have.
    fn fill(&mut self, candidate: &Candidate, credit: Xbzz, needs: Xbzz, now_ms: u64) -> bool {
        self.answered.retain(|(_, until_ms)| *until_ms > now_ms);
        self.unclaimed.retain(|(_, _, until_ms)| *until_ms > now_ms);
        let count = |jobs: usize| u32::try_from(jobs).unwrap_or(u32::MAX);
        // Until a claim is seen, nobody knows whether an answer was worth it.
        let has_one = !self.running.is_empty() || !self.unclaimed.is_empty();
        let running = self.running.iter().map(|(_, amount)| *amount);
        let money: Xbzz = running.chain(self.unclaimed.iter().map(|(_, amount, _)| *amount)).sum();
        if has_one && money.saturating_add(needs) > credit {
            return true;
        }
        let working = candidate.open_jobs.saturating_sub(count(self.answered.len()));
        let slots = candidate.max_concurrent_jobs;
        slots > 0 && working.max(count(self.running.len())) >= slots
    }
}

impl Capacity {
    /// `delivery` is the longest that a provider has to claim.
    pub(super) fn new(clock: SharedClock, delivery: Duration) -> Self {
        let delivery_ms = u64::try_from(delivery.as_millis()).unwrap_or(u64::MAX);
        let claimed_within_ms = delivery_ms.saturating_add(CLAIM_GRACE_MS);
        Self { clock, claimed_within_ms, providers: Arc::default() }
    }

    /// Counts a job of so much for a provider until the guard is dropped; `None` if the provider has no slot for it.
    /// Looking and counting are one step: of two requests that look at once, one gets the last slot.
    pub(super) fn reserve(
        &self,
        candidate: &Candidate,
        credit: Xbzz,
        (id, needs): (AttemptId, Xbzz),
    ) -> Option<Reservation> {
        let now_ms = self.clock.unix_millis();
        let provider = candidate.provider;
        let is_reserved = self.with(provider, |ours| {
            let is_free = !ours.fill(candidate, credit, needs, now_ms);
            if is_free {
                ours.running.push((id, needs));
            }
            is_free
        });
        is_reserved.then(|| Reservation { of: self.clone(), provider, id, needs })
    }

    /// Whether a provider has no slot for another job.
    pub(super) fn fills(&self, candidate: &Candidate, credit: Xbzz, needs: Xbzz) -> bool {
        let now_ms = self.clock.unix_millis();
        self.with(candidate.provider, |ours| ours.fill(candidate, credit, needs, now_ms))
    }

    /// The chain shows a job as settled: the directory no longer counts it.
    pub(super) fn settled(&self, provider: Address, id: AttemptId) {
        self.with(provider, |ours| {
            ours.answered.retain(|(answered, _)| *answered != id);
            ours.unclaimed.retain(|(unclaimed, _, _)| *unclaimed != id);
        });
    }

    /// A job that an earlier run paid for and that has not come to its end.
    pub(super) fn took_up(&self, provider: Address, id: AttemptId, amount: Xbzz) {
        let until_ms = self.clock.unix_millis().saturating_add(self.claimed_within_ms);
        self.with(provider, |ours| ours.unclaimed.push((id, amount, until_ms)));
    }

    fn with<T>(&self, provider: Address, change: impl FnOnce(&mut Ours) -> T) -> T {
        let mut providers = self.providers.lock();
        change(providers.entry(provider).or_default())
    }
}

/// A job that takes a slot.
#[derive(Debug)]
pub(super) struct Reservation {
    of: Capacity,
    provider: Address,
    id: AttemptId,
    needs: Xbzz,
}

impl Reservation {
    /// The provider answered: its slot is free, though the chain does not say so yet.
    pub(super) fn answered(self) {
        let now_ms = self.of.clock.unix_millis();
        self.of.with(self.provider, |ours| {
            ours.answered.push((self.id, now_ms.saturating_add(ANSWERED_COUNTS_MS)));
            let until_ms = now_ms.saturating_add(self.of.claimed_within_ms);
            ours.unclaimed.push((self.id, self.needs, until_ms));
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.of.with(self.provider, |ours| ours.running.retain(|(running, _)| *running != self.id));
    }
}

#[cfg(test)]
mod tests {
    use t4t_clock::ManualClock;
    use t4t_types::{EncryptionKey, Overlay, RequestId, TokenPrices, UnixSeconds};

    use super::*;

    const ONE: Xbzz = Xbzz::from_whole(1);
    const AMPLE: Xbzz = Xbzz::from_whole(9);

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
        let capacity = Capacity::new(ManualClock::new(UnixSeconds::new(1)), Duration::from_secs(900));
        let id = |attempt| (RequestId::ZERO, attempt);
        let first = capacity.reserve(&candidate(0), AMPLE, (id(1), ONE)).unwrap();
        assert!(!capacity.fills(&candidate(0), AMPLE, ONE));
        let second = capacity.reserve(&candidate(0), AMPLE, (id(2), ONE)).unwrap();
        assert!(capacity.reserve(&candidate(0), AMPLE, (id(3), ONE)).is_none(), "there are two slots");
        assert!(capacity.fills(&candidate(0), AMPLE, ONE), "two of ours, none on the chain yet");
        first.answered();
        second.answered();
        assert!(!capacity.fills(&candidate(2), AMPLE, ONE), "both are answered, the chain still shows them");
        assert!(capacity.fills(&candidate(4), AMPLE, ONE), "two of somebody else's");
        capacity.settled(Address::ZERO, id(1));
        assert!(capacity.fills(&candidate(3), AMPLE, ONE));
    }

    #[test]
    fn what_a_provider_answered_counts_until_it_is_known_what_it_took() {
        let capacity = Capacity::new(ManualClock::new(UnixSeconds::new(1)), Duration::from_secs(900));
        let boasting = Candidate { max_concurrent_jobs: 0, ..candidate(0) };
        let reserve = |attempt| capacity.reserve(&boasting, ONE, ((RequestId::ZERO, attempt), ONE));
        let first = reserve(1).unwrap();
        assert!(reserve(2).is_none());
        first.answered();
        assert!(reserve(2).is_none(), "what it takes is not known yet");
        capacity.settled(Address::ZERO, (RequestId::ZERO, 1));
        assert!(reserve(2).is_some());
    }

    #[test]
    fn a_provider_has_no_more_money_of_this_gateway_than_its_credit_but_always_one_job() {
        let capacity = Capacity::new(ManualClock::new(UnixSeconds::new(1)), Duration::from_secs(900));
        let boasting = Candidate { max_concurrent_jobs: 0, ..candidate(0) };
        let credit = Xbzz::from_whole(3);
        let reserve = |attempt, whole| {
            capacity.reserve(&boasting, credit, ((RequestId::ZERO, attempt), Xbzz::from_whole(whole)))
        };
        let first = reserve(1, 5).unwrap();
        assert!(reserve(2, 1).is_none());
        drop(first);
        capacity.took_up(Address::ZERO, (RequestId::ZERO, 7), Xbzz::from_whole(2));
        assert!(reserve(3, 2).is_none(), "what an earlier run paid for counts");
        assert!(reserve(3, 1).is_some());
    }
}
