//! What may be spent in a day, and how much of it on finding out what strangers are worth.
//!
//! A day is one of UTC. An attempt counts on the day on which it was planned: what is in escrow for all that may be
//! taken, what was claimed for what was taken, what came back for nothing. That is in the rows, so a restart forgets
//! nothing; here is only their sum.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use t4t_clock::SharedClock;
use t4t_protocol::job::BuyingState;
use t4t_store::buying::BuyingJob;
use t4t_store::{Store, StoreError};
use t4t_types::Xbzz;

const DAY_MS: u64 = 24 * 3_600_000;

/// A job that explores takes at most this part of the day's budget for it: a provider's first jobs are small ones.
const EXPLORING_PARTS: u128 = 4;

/// What may be spent in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayLimits {
    /// `T4T_MAX_SPEND_PER_DAY`.
    pub spend: Xbzz,
    /// `T4T_EXPLORE_BUDGET`: the part of it that may go to providers this gateway hardly knows, where it knows others.
    pub explore: Xbzz,
}

/// Ten xBZZ a day, a tenth of one of them for exploration.
impl Default for DayLimits {
    fn default() -> Self {
        Self { spend: Xbzz::from_whole(10), explore: Xbzz::from_plur(Xbzz::PLUR_PER_XBZZ / 10) }
    }
}

/// Why nothing may be spent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverLimit {
    /// Once what is in flight has come to its end there may be room.
    InFlight,
    /// Not today.
    Today { spent: Xbzz, resets_in_s: u64 },
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    day: u64,
    /// What attempts of the day count for.
    spent: Xbzz,
    /// The part of it that is over: it does not come back.
    settled: Xbzz,
    explored: Xbzz,
    /// For attempts that are about to be planned.
    held: Xbzz,
    held_exploring: Xbzz,
}

/// Keeps the sum of a day.
#[derive(Clone, Debug)]
pub(super) struct Spend {
    limits: DayLimits,
    clock: SharedClock,
    sums: Arc<Mutex<Sums>>,
}

/// An amount that is kept for an attempt until its row counts.
#[derive(Debug)]
pub(super) struct Hold {
    of: Spend,
    amount: Xbzz,
    pub(super) explores: bool,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut sums = self.of.sums();
        sums.held = sums.held.saturating_sub(self.amount);
        if self.explores {
            sums.held_exploring = sums.held_exploring.saturating_sub(self.amount);
        }
    }
}

impl Spend {
    /// What was spent today before.
    pub(super) async fn load(
        limits: DayLimits,
        store: &Store,
        clock: SharedClock,
    ) -> Result<Self, StoreError> {
        let day = clock.unix_millis() / DAY_MS;
        let spend = Self { limits, clock, sums: Arc::new(Mutex::new(Sums { day, ..Sums::default() })) };
        for row in store.buying_list_since(day * DAY_MS).await? {
            spend.changed(None, &row);
        }
        Ok(spend)
    }

    /// A row was planned or moved.
    pub(super) fn changed(&self, before: Option<&BuyingJob>, after: &BuyingJob) {
        let mut sums = self.sums();
        // What is planned now counts, whatever a clock that was set back says of its day.
        if before.is_some() && after.created_at_ms / DAY_MS != sums.day {
            return;
        }
        let moved = |sum: Xbzz, counts: fn(&BuyingJob) -> Xbzz| {
            let less = before.map(counts).unwrap_or_default();
            sum.saturating_add(counts(after)).saturating_sub(less)
        };
        sums.spent = moved(sums.spent, counts);
        sums.settled = moved(sums.settled, settled);
        if after.explored {
            sums.explored = moved(sums.explored, counts);
        }
    }

    /// Keeps an amount for an attempt.
    pub(super) fn hold(&self, amount: Xbzz, explores: bool) -> Result<Hold, OverLimit> {
        let mut sums = self.sums();
        let fits = |sum: Xbzz| sum.checked_add(amount).is_some_and(|sum| sum <= self.limits.spend);
        if !fits(sums.spent.saturating_add(sums.held)) {
            let resets_in_s = (DAY_MS - self.clock.unix_millis() % DAY_MS).div_ceil(1000);
            let today = OverLimit::Today { spent: sums.spent, resets_in_s };
            return Err(if fits(sums.settled) { OverLimit::InFlight } else { today });
        }
        sums.held = sums.held.saturating_add(amount);
        if explores {
            sums.held_exploring = sums.held_exploring.saturating_add(amount);
        }
        drop(sums);
        Ok(Hold { of: self.clone(), amount, explores })
    }

    /// Whether a job of so much may go to a stranger although others are known.
    pub(super) fn may_explore(&self, amount: Xbzz) -> bool {
        let sums = self.sums();
        let sum = sums.explored.saturating_add(sums.held_exploring).checked_add(amount);
        let is_small = amount.plur() <= self.limits.explore.plur() / EXPLORING_PARTS;
        is_small && sum.is_some_and(|sum| sum <= self.limits.explore)
    }

    /// The most that may be spent in a day.
    pub(super) fn limit(&self) -> Xbzz {
        self.limits.spend
    }

    /// The sums of today.
    fn sums(&self) -> MutexGuard<'_, Sums> {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let day = self.clock.unix_millis() / DAY_MS;
        // A clock that was set back opens no second budget.
        if day > sums.day {
            let Sums { held, held_exploring, .. } = *sums;
            *sums = Sums { day, held, held_exploring, ..Sums::default() };
        }
        sums
    }
}

/// What an attempt counts for.
fn counts(row: &BuyingJob) -> Xbzz {
    if row.state.is_final() { settled(row) } else { row.max_payment }
}

/// What an attempt that is over took.
fn settled(row: &BuyingJob) -> Xbzz {
    match row.state {
        BuyingState::Claimed => row.paid.unwrap_or(row.max_payment),
        _ => Xbzz::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use t4t_clock::ManualClock;
    use t4t_types::{
        Address, EncryptionKey, ModelId, Overlay, RequestId, SwarmRef, TokenPrices, UnixSeconds,
    };

    use super::*;

    const NOON: u64 = 20_000 * 86_400 + 43_200;

    fn row(number: u8, max_payment: u64) -> BuyingJob {
        BuyingJob {
            request_id: RequestId::new([number; 32]),
            attempt: 1,
            state: BuyingState::Planned,
            provider: Address::ZERO,
            provider_key: EncryptionKey::ZERO,
            provider_overlay: Overlay::ZERO,
            model: "m".parse::<ModelId>().unwrap(),
            prices: TokenPrices::default(),
            request_hash: SwarmRef::new([number; 32]),
            max_payment: Xbzz::from_whole(max_payment),
            delivery_deadline: UnixSeconds::new(NOON),
            job: None,
            response_hash: None,
            paid: None,
            reason: None,
            created_at_ms: NOON * 1000,
            explored: false,
        }
    }

    fn limits() -> DayLimits {
        DayLimits { spend: Xbzz::from_whole(10), explore: Xbzz::from_whole(4) }
    }

    async fn spend(store: &Store, now: u64) -> Spend {
        Spend::load(limits(), store, ManualClock::new(UnixSeconds::new(now))).await.unwrap()
    }

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("t4t.db")).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_in_flight_counts_whole_and_what_came_back_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let spend = spend(&store(&folder).await, NOON).await;
        let planned = row(1, 8);
        let hold = spend.hold(Xbzz::from_whole(8), false).unwrap();
        assert_eq!(spend.hold(Xbzz::from_whole(3), false).unwrap_err(), OverLimit::InFlight);
        spend.changed(None, &planned);
        drop(hold);
        assert_eq!(spend.hold(Xbzz::from_whole(3), false).unwrap_err(), OverLimit::InFlight);
        let paid =
            BuyingJob { state: BuyingState::Claimed, paid: Some(Xbzz::from_whole(1)), ..planned.clone() };
        spend.changed(Some(&planned), &paid);
        drop(spend.hold(Xbzz::from_whole(9), false).unwrap());
        let today = OverLimit::Today { spent: Xbzz::from_whole(1), resets_in_s: 43_200 };
        assert_eq!(spend.hold(Xbzz::from_whole(10), false).unwrap_err(), today);
        // A reorganisation takes the claim back.
        spend.changed(Some(&paid), &planned);
        assert_eq!(spend.hold(Xbzz::from_whole(3), false).unwrap_err(), OverLimit::InFlight);
        let refused = BuyingJob { state: BuyingState::Refused, ..planned.clone() };
        spend.changed(Some(&planned), &refused);
        assert!(spend.hold(Xbzz::from_whole(10), false).is_ok());
    }

    #[tokio::test]
    async fn a_restart_forgets_nothing_of_the_day_and_a_new_day_begins_at_midnight_utc() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        store.buying_insert(&row(1, 9), &[]).await.unwrap();
        let later = spend(&store, NOON + 43_199).await;
        assert_eq!(later.hold(Xbzz::from_whole(2), false).unwrap_err(), OverLimit::InFlight);
        let tomorrow = spend(&store, NOON + 43_200).await;
        assert!(tomorrow.hold(Xbzz::from_whole(10), false).is_ok());
    }

    #[tokio::test]
    async fn sixty_four_at_once_never_hold_more_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let spend = spend(&store(&folder).await, NOON).await;
        let holds: Vec<_> = (0..64).map(|_| spend.hold(Xbzz::from_whole(3), false)).collect();
        assert_eq!(holds.iter().filter(|hold| hold.is_ok()).count(), 3);
    }

    #[tokio::test]
    async fn exploration_is_bounded_in_money_a_day_and_a_job() {
        let folder = tempfile::tempdir().unwrap();
        let spend = spend(&store(&folder).await, NOON).await;
        assert!(!spend.may_explore(Xbzz::from_whole(2)), "a quarter of the budget is one");
        for number in 1..=4 {
            assert!(spend.may_explore(Xbzz::from_whole(1)));
            let hold = spend.hold(Xbzz::from_whole(1), true).unwrap();
            spend.changed(None, &BuyingJob { explored: true, ..row(number, 1) });
            drop(hold);
        }
        assert!(!spend.may_explore(Xbzz::from_whole(1)));
        assert!(spend.hold(Xbzz::from_whole(1), false).is_ok(), "others are not held up");
    }
}
