//! Which providers are bought from: who took a payment for what was no answer does not get the next one.
//!
//! The chain counts such a claim as a success, so the chain's record does not show it. What a provider did to this
//! gateway is kept here, and, where it took money, in the database.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use t4t_clock::SharedClock;
use t4t_panics::{Lock, LockGuard};
use t4t_store::offences::{Experience, Offences};
use t4t_store::{Store, StoreError};
use t4t_types::{Address, Xbzz};
use tracing::warn;

use super::attempt::AttemptId;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The longest that anything is held against a provider: it may have been sold, or mended.
const LONGEST_MS: u64 = 30 * DAY_MS;

/// How long a provider that failed stands behind the others, the first time; each time in a row doubles it.
const BEHIND_MS: u64 = MINUTE_MS;

/// How long a provider that said nothing rests, the first time; each time in a row doubles it. Its node may be busy: the
/// next job in a row would be cancelled like the last, and cost it stake again.
const REST_MS: u64 = MINUTE_MS;

/// The longest rest.
const LONGEST_REST_MS: u64 = 10 * MINUTE_MS;

/// Answers whose claims are waited for.
const EXPECTED: usize = 4096;

/// Answers of a provider that are counted; more say nothing.
const MOST_ANSWERS: u32 = 64;

/// What a provider did with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offence {
    /// It named no answer, or one that is provably none: of another job, in another's name, malformed.
    NoAnswer,
    /// What it named can't be opened. Our own key may be to blame.
    Unreadable,
    /// What it named was not there. Swarm may be to blame.
    NotThere,
    /// It took more than its answer cost by its own usage. A price that changed meanwhile may be to blame.
    Overcharged,
    /// It took more than what it delivered can have cost, or all there was without a usage that says why.
    Overbilled,
}

impl Offence {
    /// How long nothing is bought from whoever did this for the `times`-th time.
    fn bars_for_ms(self, times: u32) -> u64 {
        let (first, repeated) = match self {
            Self::NoAnswer | Self::Overbilled => (7 * DAY_MS, times),
            Self::Unreadable => (HOUR_MS, times),
            // Once is nobody's fault, perhaps.
            Self::Overcharged if times == 1 => return 0,
            Self::Overcharged => (10 * MINUTE_MS, times - 1),
            // Swarm may have lost it; taken again and again, it would be a living.
            Self::NotThere => (2 * HOUR_MS, times),
        };
        let factor = 4_u64.saturating_pow(repeated.saturating_sub(1));
        first.saturating_mul(factor).min(LONGEST_MS)
    }
}

/// How a provider stands with this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Like any other.
    Good,
    /// Asked only if no other is left.
    Behind,
    /// Not asked for so long, since it said nothing the last time.
    Resting {
        /// In milliseconds.
        for_ms: u64,
    },
    /// Not asked for so long.
    Barred {
        /// In milliseconds.
        for_ms: u64,
    },
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    behind_until_ms: u64,
    silences: u32,
    resting_until_ms: u64,
    offences: u32,
    barred_until_ms: u64,
    /// Usable answers since the last offence, up to a point.
    answered: u32,
    /// The price at which they were given, input and output together.
    price: Xbzz,
}

impl Record {
    fn answers_at(&self, price: Xbzz) -> u32 {
        if self.price.plur().saturating_mul(2) >= price.plur() { self.answered } else { 0 }
    }
}

/// What an answer may be claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    /// What it costs by its own usage; `None` where that is missing or impossible.
    pub(super) stated: Option<Xbzz>,
    /// What a claim may take to speak for its provider.
    pub(super) fair: Xbzz,
    /// What the bytes that were delivered can have cost at most.
    pub(super) at_most: Xbzz,
    /// What was in escrow.
    pub(super) escrow: Xbzz,
    /// The provider's price, input and output together.
    pub(super) price: Xbzz,
}

/// A claim that is to come.
#[derive(Clone, Copy, Debug)]
struct Expected {
    provider: Address,
    worth: Worth,
    /// Whether the answer said something.
    is_of_use: bool,
}

#[derive(Debug, Default)]
struct Known {
    providers: HashMap<Address, Record>,
    /// What answers are worth whose claims have not been seen.
    expected: HashMap<AttemptId, Expected>,
    /// Attempts whose provider was judged.
    judged: HashSet<AttemptId>,
}

impl Known {
    /// Notes that an attempt's provider is judged; `false` if it was before.
    fn judge(&mut self, id: AttemptId) -> bool {
        if self.judged.len() >= EXPECTED {
            self.judged.clear();
        }
        self.judged.insert(id)
    }
}

/// What providers did.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    store: Store,
    clock: SharedClock,
    known: Arc<Lock<Known>>,
}

impl Trust {
    /// What is known from earlier runs.
    pub(super) async fn load(store: Store, clock: SharedClock) -> Result<Self, StoreError> {
        let mut known = Known::default();
        for Offences { provider, times, barred_until_ms } in store.offences_list().await? {
            let record = Record { offences: times, barred_until_ms, ..Record::default() };
            known.providers.insert(provider, record);
        }
        for Experience { provider, answered, price } in store.experience_list().await? {
            let record = known.providers.entry(provider).or_default();
            (record.answered, record.price) = (answered, price);
        }
        Ok(Self { store, clock, known: Arc::new(Lock::new(known)) })
    }

    /// How a provider stands now.
    pub(super) fn standing(&self, provider: Address) -> Standing {
        let now_ms = self.clock.unix_millis();
        match self.known().providers.get(&provider) {
            Some(record) if record.barred_until_ms > now_ms => {
                Standing::Barred { for_ms: record.barred_until_ms - now_ms }
            }
            Some(record) if record.resting_until_ms > now_ms => {
                Standing::Resting { for_ms: record.resting_until_ms - now_ms }
            }
            Some(record) if record.behind_until_ms > now_ms => Standing::Behind,
            _ => Standing::Good,
        }
    }

    /// Answers that a provider gave and took no more for than they are worth, since it last took something for nothing.
    /// Those that were given for less than half of `price` don't count: a name is not made for dust.
    pub(super) fn answers(&self, provider: Address, price: Xbzz) -> u32 {
        self.known().providers.get(&provider).map_or(0, |record| record.answers_at(price))
    }

    /// A provider did not acknowledge a job in time.
    pub(super) fn silent(&self, provider: Address) {
        let now_ms = self.clock.unix_millis();
        let mut known = self.known();
        let record = known.providers.entry(provider).or_default();
        if record.resting_until_ms > now_ms {
            return;
        }
        let rest_ms = REST_MS.saturating_mul(2_u64.saturating_pow(record.silences)).min(LONGEST_REST_MS);
        record.silences = record.silences.saturating_add(1);
        record.resting_until_ms = now_ms.saturating_add(rest_ms);
    }

    /// A provider gave no answer; nothing says that it took anything.
    pub(super) fn failed(&self, provider: Address) {
        let now_ms = self.clock.unix_millis();
        let mut known = self.known();
        let record = known.providers.entry(provider).or_default();
        let factor = 2_u64.saturating_pow(record.failures);
        record.failures = record.failures.saturating_add(1);
        record.behind_until_ms = now_ms.saturating_add(BEHIND_MS.saturating_mul(factor).min(HOUR_MS));
    }

    /// A provider answered. What it is worth shows with its claim.
    pub(super) fn answered(&self, provider: Address, id: AttemptId, worth: Worth) {
        if let Some(record) = self.known().providers.get_mut(&provider) {
            (record.failures, record.behind_until_ms, record.silences) = (0, 0, 0);
        }
        self.expects(id, Expected { provider, worth, is_of_use: true });
    }

    /// A provider answered with nothing.
    pub(super) fn answered_nothing(&self, provider: Address, id: AttemptId, worth: Worth) {
        self.failed(provider);
        self.expects(id, Expected { provider, worth, is_of_use: false });
    }

    fn expects(&self, id: AttemptId, expected: Expected) {
        let mut known = self.known();
        if known.expected.len() >= EXPECTED {
            known.expected.clear();
        }
        known.expected.insert(id, expected);
    }

    /// A provider took what its answer was worth.
    async fn learn(&self, provider: Address, price: Xbzz) {
        let learnt = {
            let mut known = self.known();
            let record = known.providers.entry(provider).or_default();
            let before = (record.answered, record.price);
            record.price = if record.answers_at(price) == 0 { price } else { record.price.min(price) };
            record.answered = record.answers_at(price).saturating_add(1).min(MOST_ANSWERS);
            let after = (record.answered, record.price);
            (after != before).then_some(Experience { provider, answered: after.0, price: after.1 })
        };
        if let Some(learnt) = learnt {
            self.keep_experience(learnt).await;
        }
    }

    async fn keep_experience(&self, experience: Experience) {
        if let Err(error) = self.store.experience_set(experience).await {
            warn!(error = &error as &dyn std::error::Error, "what a provider answered could not be stored");
        }
    }

    /// An attempt's answer is none, though it was paid for or is about to be. The same attempt counts once, however often
    /// its answer is asked for.
    pub(super) async fn gave_none(&self, id: AttemptId, provider: Address, offence: Offence) {
        if self.known().judge(id) {
            self.offended(provider, offence).await;
        }
    }

    /// A provider took this for an attempt; called again and again for the same one.
    pub(super) async fn charged(&self, id: AttemptId, paid: Xbzz) {
        let expected = {
            let mut known = self.known();
            let expected = known.expected.remove(&id);
            expected.filter(|_| known.judge(id))
        };
        let Some(Expected { provider, worth, is_of_use }) = expected else { return };
        let is_whole = worth.stated.is_none() && paid >= worth.escrow;
        let offence = if paid > worth.at_most || is_whole {
            Offence::Overbilled
        } else if worth.stated.is_some_and(|stated| paid > stated) {
            Offence::Overcharged
        } else {
            if is_of_use && paid <= worth.fair {
                self.learn(provider, worth.price).await;
            }
            return;
        };
        warn!(%provider, %paid, ?worth, "a provider took more than its answer cost");
        self.offended(provider, offence).await;
    }

    /// A provider took a payment, or is about to, and gave no answer for it.
    pub(super) async fn offended(&self, provider: Address, offence: Offence) {
        self.failed(provider);
        let now_ms = self.clock.unix_millis();
        let offences = {
            let mut known = self.known();
            let record = known.providers.entry(provider).or_default();
            record.offences = record.offences.saturating_add(1);
            record.answered = 0;
            let until_ms = now_ms.saturating_add(offence.bars_for_ms(record.offences));
            record.barred_until_ms = record.barred_until_ms.max(until_ms);
            Offences { provider, times: record.offences, barred_until_ms: record.barred_until_ms }
        };
        warn!(%provider, ?offence, times = offences.times, "a provider was paid for what is no answer");
        self.keep_experience(Experience { provider, answered: 0, price: Xbzz::ZERO }).await;
        if let Err(error) = self.store.offences_set(offences).await {
            warn!(error = &error as &dyn std::error::Error, "what a provider did could not be stored");
        }
    }

    fn known(&self) -> LockGuard<'_, Known> {
        self.known.lock()
    }
}

#[cfg(test)]
mod tests {
    use t4t_clock::ManualClock;
    use t4t_types::{RequestId, UnixSeconds};

    use super::*;

    const ROGUE: Address = Address::new([1; 20]);

    const PRICE: Xbzz = Xbzz::from_plur(18);

    fn worth(stated: Option<u128>, at_most: u128) -> Worth {
        let (at_most, escrow) = (Xbzz::from_plur(at_most), Xbzz::from_plur(20));
        Worth { stated: stated.map(Xbzz::from_plur), fair: at_most, at_most, escrow, price: PRICE }
    }

    fn id(attempt: u32) -> AttemptId {
        (RequestId::ZERO, attempt)
    }

    async fn trust(folder: &tempfile::TempDir) -> Trust {
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        Trust::load(store, ManualClock::new(UnixSeconds::new(1_000_000))).await.unwrap()
    }

    #[tokio::test]
    async fn who_took_a_payment_for_nothing_gets_no_other_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = trust(&folder).await;
        assert_eq!(first.standing(ROGUE), Standing::Good);
        first.offended(ROGUE, Offence::NoAnswer).await;
        let later = trust(&folder).await;
        assert_eq!(later.standing(ROGUE), Standing::Barred { for_ms: 7 * DAY_MS });
    }

    #[tokio::test]
    async fn an_answer_that_was_not_there_bars_longer_each_time_and_counts_once_an_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let trust = trust(&folder).await;
        for (attempt, hours) in [(1, 2), (1, 2), (2, 8), (3, 32)] {
            trust.gave_none(id(attempt), ROGUE, Offence::NotThere).await;
            assert_eq!(trust.standing(ROGUE), Standing::Barred { for_ms: hours * HOUR_MS });
        }
    }

    #[tokio::test]
    async fn a_failure_is_forgiven_with_the_next_answer_and_a_price_too_high_bars_from_the_second_time_on() {
        let folder = tempfile::tempdir().unwrap();
        let trust = trust(&folder).await;
        trust.failed(ROGUE);
        assert_eq!(trust.standing(ROGUE), Standing::Behind);
        trust.answered(ROGUE, id(1), worth(Some(5), 9));
        assert_eq!(trust.standing(ROGUE), Standing::Good);
        trust.charged(id(1), Xbzz::from_plur(5)).await;
        assert_eq!(trust.standing(ROGUE), Standing::Good);
        trust.answered(ROGUE, id(2), worth(Some(5), 9));
        trust.charged(id(2), Xbzz::from_plur(6)).await;
        assert_eq!(trust.standing(ROGUE), Standing::Behind);
        trust.charged(id(2), Xbzz::from_plur(6)).await;
        assert_eq!(trust.standing(ROGUE), Standing::Behind, "the same claim counts once");
        trust.answered(ROGUE, id(3), worth(Some(5), 9));
        trust.charged(id(3), Xbzz::from_plur(6)).await;
        assert_eq!(trust.standing(ROGUE), Standing::Barred { for_ms: 10 * MINUTE_MS });
    }

    #[tokio::test]
    async fn who_bills_more_than_it_delivered_or_all_without_a_usage_is_barred_after_the_first_time() {
        for (stated, at_most, paid) in [(Some(5), 9, 10), (None, 9, 10), (None, 30, 20)] {
            let folder = tempfile::tempdir().unwrap();
            let trust = trust(&folder).await;
            trust.answered(ROGUE, id(1), worth(stated, at_most));
            trust.charged(id(1), Xbzz::from_plur(paid)).await;
            let barred = Standing::Barred { for_ms: 7 * DAY_MS };
            assert_eq!(trust.standing(ROGUE), barred, "{stated:?} {at_most} {paid}");
            assert_eq!(trust.answers(ROGUE, PRICE), 0);
        }
    }

    #[tokio::test]
    async fn an_answer_counts_once_with_its_claim_and_only_for_prices_like_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        let trust = Trust::load(store.clone(), ManualClock::new(UnixSeconds::new(1_000_000))).await.unwrap();
        trust.answered(ROGUE, id(1), worth(None, 9));
        assert_eq!(trust.answers(ROGUE, PRICE), 0, "not before its claim");
        for _ in 0..2 {
            trust.charged(id(1), Xbzz::from_plur(9)).await;
            trust.answered(ROGUE, id(1), worth(None, 9));
        }
        assert_eq!(trust.standing(ROGUE), Standing::Good);
        assert_eq!(trust.answers(ROGUE, PRICE), 1);
        assert_eq!(trust.answers(ROGUE, Xbzz::from_plur(36)), 1);
        assert_eq!(trust.answers(ROGUE, Xbzz::from_plur(37)), 0, "a name is not made for dust");
        let dear = Worth { fair: Xbzz::from_plur(8), ..worth(Some(9), 9) };
        trust.answered(ROGUE, id(2), dear);
        trust.charged(id(2), Xbzz::from_plur(9)).await;
        assert_eq!(trust.answers(ROGUE, PRICE), 1, "a prompt of odd length is no offence and no merit");
        let later = Trust::load(store, ManualClock::new(UnixSeconds::new(1_000_000))).await.unwrap();
        assert_eq!(later.answers(ROGUE, PRICE), 1);
    }

    #[tokio::test]
    async fn what_is_remembered_of_attempts_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let trust = trust(&folder).await;
        for attempt in 0..=u32::try_from(EXPECTED).unwrap() {
            trust.answered(ROGUE, id(attempt), worth(Some(5), 9));
            trust.charged(id(attempt), Xbzz::from_plur(5)).await;
        }
        let known = trust.known();
        assert!(known.judged.len() <= EXPECTED && known.expected.len() <= EXPECTED);
    }

    #[tokio::test]
    async fn who_said_nothing_rests_for_a_minute_and_longer_each_time_until_it_answers() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        let clock = ManualClock::new(UnixSeconds::new(1_000_000));
        let trust = Trust::load(store, clock.clone()).await.unwrap();
        for minutes in [1, 2, 4, 8, 10, 10] {
            trust.silent(ROGUE);
            trust.silent(ROGUE);
            assert_eq!(trust.standing(ROGUE), Standing::Resting { for_ms: minutes * MINUTE_MS });
            clock.advance(std::time::Duration::from_millis(minutes * MINUTE_MS));
            assert_eq!(trust.standing(ROGUE), Standing::Good);
        }
    }
}
