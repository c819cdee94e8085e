//! The newest block as last read: what fees and waiting times are derived from, so that no request asks for them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use t4t_chain::{BlockHeader, Fees};

use super::possible_reorg::PossibleReorg;

/// Seconds between blocks until two were compared: Gnosis Chain's.
const FIRST_INTERVAL_MS: u64 = t4t_types::BLOCK_SECONDS * 1000;

/// No chain is waited for longer than this between two looks.
const LONGEST_INTERVAL_MS: u64 = 15_000;

/// Blocks that come faster are not foretold.
const SHORTEST_INTERVAL_MS: u64 = 100;

/// The block's maker gets so many times the usual at most, however often a fee is raised: unlike the base fee, which is the
/// chain's, all of it is paid, and an endpoint that shows blocks that do not exist has fees raised without end.
const MOST_TIPS: u128 = 20;

/// Wei for a unit of gas that the tip may always be raised to.
const TIP_TO_RAISE_TO: u128 = 20_000_000_000;

/// The newest block and when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Height.
    pub(crate) number: u64,
    /// Hash.
    pub(crate) hash: [u8; 32],
    /// When it was made, by the chain's clock, in milliseconds since 1970.
    pub(crate) made_at_ms: u64,
    /// Wei of its base fee.
    pub(crate) base_fee: u128,
    /// When it was read, by ours.
    pub(crate) read_at_ms: u64,
}

/// What a newer head says about the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// The same block, or its child.
    Continues,
    /// Blocks in between were not seen.
    Gap,
    /// Another chain of blocks than before.
    Replaced,
}

/// The newest block as last read.
#[derive(Debug)]
pub(crate) struct Heads {
    seen: Mutex<Seen>,
    tip: u128,
    max_fee: u128,
    /// Whether blocks may have been taken back that nobody has looked at since.
    possible_reorg: PossibleReorg,
}

#[derive(Debug)]
struct Seen {
    head: Option<Head>,
    interval_ms: u64,
}

impl Heads {
    pub(crate) fn new(tip: u128, max_fee: u128) -> Self {
        Self {
            seen: Mutex::new(Seen { head: None, interval_ms: FIRST_INTERVAL_MS }),
            tip,
            max_fee,
            possible_reorg: PossibleReorg::default(),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a block that was read as the newest.
    pub(crate) fn note(&self, header: &BlockHeader, now_ms: u64) -> Succession {
        let head = Head {
            number: header.number,
            hash: *header.hash.as_bytes(),
            made_at_ms: header.timestamp.get().saturating_mul(1000),
            base_fee: header.base_fee,
            read_at_ms: now_ms,
        };
        let mut seen = self.seen();
        let Some(before) = seen.head.replace(head) else { return Succession::Gap };
        let blocks = head.number.saturating_sub(before.number);
        let between = head.made_at_ms.saturating_sub(before.made_at_ms).checked_div(blocks);
        if let Some(between) = between {
            seen.interval_ms = between.min(LONGEST_INTERVAL_MS);
        }
        succession(&before, &head, header.parent_hash.as_bytes())
    }

    /// Whether blocks may have been taken back that nobody has looked at since.
    pub(crate) const fn possible_reorg(&self) -> &PossibleReorg {
        &self.possible_reorg
    }

    /// Notes how long blocks took lately.
    pub(crate) fn note_interval(&self, interval_ms: u64) {
        self.seen().interval_ms = interval_ms.min(LONGEST_INTERVAL_MS);
    }

    /// The newest block that was read.
    pub(crate) fn head(&self) -> Option<Head> {
        self.seen().head
    }

    /// Its height; zero before the first was read.
    pub(crate) fn number(&self) -> u64 {
        self.head().map_or(0, |head| head.number)
    }

    /// Time between two blocks.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.seen().interval_ms)
    }

    /// How old what was read is; `None` if nothing was.
    pub(crate) fn age(&self, now_ms: u64) -> Option<Duration> {
        self.head().map(|head| Duration::from_millis(now_ms.saturating_sub(head.read_at_ms)))
    }

    /// How long it is until the next block is due. A clock that is ahead or behind only shifts the phase.
    pub(crate) fn until_due(&self, now_ms: u64) -> Duration {
        let seen = self.seen();
        let interval = seen.interval_ms.max(SHORTEST_INTERVAL_MS);
        let made_at = seen.head.map_or(now_ms, |head| head.made_at_ms);
        let into = if now_ms >= made_at { (now_ms - made_at) % interval } else { 0 };
        Duration::from_millis(interval - into)
    }

    /// The newest block there should be by now: the last that was read, and one for each time one was due since.
    pub(crate) fn expected(&self, now_ms: u64) -> Option<u64> {
        let seen = self.seen();
        let head = seen.head?;
        let interval = seen.interval_ms.max(SHORTEST_INTERVAL_MS);
        let due_until = |at_ms: u64| at_ms.saturating_sub(head.made_at_ms) / interval;
        Some(head.number.saturating_add(due_until(now_ms).saturating_sub(due_until(head.read_at_ms))))
    }

    /// What a new transaction pays.
    pub(crate) fn fees(&self) -> Fees {
        let base_fee = self.head().map_or(0, |head| head.base_fee);
        self.capped(Fees::suggested(base_fee, self.tip))
    }

    /// What replaces a waiting transaction, or `None` if the limit is reached.
    pub(crate) fn raised(&self, fees: Fees) -> Option<Fees> {
        if fees.max_fee >= self.max_fee || fees.max_priority >= self.most_tip() {
            return None;
        }
        Some(self.capped(fees.bumped().at_least(self.fees())))
    }

    fn capped(&self, fees: Fees) -> Fees {
        let max_fee = fees.max_fee.min(self.max_fee);
        Fees { max_fee, max_priority: fees.max_priority.min(max_fee).min(self.most_tip()) }
    }

    fn most_tip(&self) -> u128 {
        self.tip.saturating_mul(MOST_TIPS).max(TIP_TO_RAISE_TO)
    }
}

fn succession(before: &Head, head: &Head, parent: &[u8; 32]) -> Succession {
    let same = head.hash == before.hash;
    let child = head.number == before.number + 1;
    match () {
        () if same || (child && *parent == before.hash) => Succession::Continues,
        () if child || head.number <= before.number => Succession::Replaced,
        () => Succession::Gap,
    }
}

#[cfg(test)]
mod tests {
    use t4t_chain::BlockHash;
    use t4t_types::UnixSeconds;

    use super::*;

    fn header(number: u64, hash: u8, parent: u8, seconds: u64) -> BlockHeader {
        BlockHeader {
            number,
            hash: BlockHash::new([hash; 32]),
            parent_hash: BlockHash::new([parent; 32]),
            timestamp: UnixSeconds::new(seconds),
            base_fee: 10,
        }
    }

    #[test]
    fn a_child_continues_a_jump_is_a_gap_and_a_sibling_replaces() {
        let heads = Heads::new(1, 1000);
        assert_eq!(heads.note(&header(1, 1, 0, 5), 0), Succession::Gap);
        assert_eq!(heads.note(&header(1, 1, 0, 5), 0), Succession::Continues);
        assert_eq!(heads.note(&header(2, 2, 1, 10), 0), Succession::Continues);
        assert_eq!(heads.note(&header(2, 3, 1, 10), 0), Succession::Replaced);
        assert_eq!(heads.note(&header(3, 4, 2, 15), 0), Succession::Replaced);
        assert_eq!(heads.note(&header(9, 9, 8, 45), 0), Succession::Gap);
        assert_eq!(heads.note(&header(8, 8, 7, 40), 0), Succession::Replaced);
    }

    #[test]
    fn the_next_block_is_due_an_interval_after_the_last_whatever_the_clock_says() {
        let heads = Heads::new(1, 1000);
        heads.note(&header(1, 1, 0, 100), 0);
        heads.note(&header(2, 2, 1, 105), 0);
        assert_eq!(heads.until_due(105_000), Duration::from_secs(5));
        assert_eq!(heads.until_due(109_000), Duration::from_secs(1));
        assert_eq!(heads.until_due(116_000), Duration::from_secs(4));
        assert_eq!(heads.until_due(50_000), Duration::from_secs(5));
    }

    #[test]
    fn the_newest_block_is_foretold_from_the_time_since_the_last_was_read() {
        let heads = Heads::new(1, 1000);
        assert_eq!(heads.expected(100_000), None);
        heads.note(&header(1, 1, 0, 100), 100_400);
        heads.note(&header(2, 2, 1, 105), 105_400);
        assert_eq!(heads.expected(109_900), Some(2));
        assert_eq!(heads.expected(110_100), Some(3));
        assert_eq!(heads.expected(121_000), Some(5));
        assert_eq!(heads.expected(50_000), Some(2), "a clock set back foretells nothing");
    }

    #[test]
    fn fees_rise_to_the_limit_and_no_further() {
        let heads = Heads::new(5, 30);
        heads.note(&header(1, 1, 0, 100), 0);
        let mut fees = heads.fees();
        assert_eq!(fees, Fees { max_fee: 25, max_priority: 5 });
        fees = heads.raised(fees).unwrap();
        assert!(fees.max_fee > 25 && fees.max_priority > 5);
        while let Some(higher) = heads.raised(fees) {
            assert!(higher.max_fee > fees.max_fee);
            fees = higher;
        }
        assert_eq!(fees.max_fee, 30);
    }

    #[test]
    fn an_endpoint_that_shows_endless_blocks_raises_the_tip_to_a_bound() {
        let heads = Heads::new(1_000_000_000, 200_000_000_000);
        heads.note(&header(1, 1, 0, 100), 0);
        let mut fees = heads.fees();
        for _ in 0..100 {
            fees = heads.raised(fees).unwrap_or(fees);
        }
        assert_eq!(fees.max_priority, 20_000_000_000);
    }
}
