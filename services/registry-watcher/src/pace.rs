//! When to look at the chain next.
//!
//! Where blocks come at a steady beat, the watcher looks just after the next one is due and a few times more until it is
//! there; otherwise it looks at equal intervals. The beat is learned from what is seen, and forgotten when it is broken.

use t4t_types::UnixSeconds;

/// Time between looks while a block is due.
const STEP_MS: u64 = 150;

/// How long a block is looked for at short steps after it is due; then it was probably left out.
const WINDOW_MS: u64 = 2_000;

/// How long before a block is due it is looked for, if asked to look closely.
const EARLY_MS: u64 = 1_000;

/// Beats that are taken for one.
const BEATS_MS: std::ops::RangeInclusive<u64> = 1_000..=30_000;

/// By how much the time between two blocks may seem to differ from what the chain says.
const JITTER_MS: u64 = 1_500;

/// When to look at the chain next.
#[derive(Debug)]
pub(crate) struct Pace {
    idle_ms: u64,
    close_ms: u64,
    last: Option<Sighting>,
    beat: Option<Beat>,
    /// Time between the last two blocks, by the chain's clock, if it may be a beat.
    supposed_ms: Option<u64>,
    /// Looks since the next block became due.
    looks: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    block: u64,
    chain_ms: u64,
    seen_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Beat {
    interval_ms: u64,
    /// When a block is first looked for after its time, by our clock.
    lag_ms: i64,
}

impl Pace {
    /// A pace for a chain of which nothing is known.
    pub(crate) const fn new(idle_ms: u64, close_ms: u64) -> Self {
        Self { idle_ms, close_ms, last: None, beat: None, supposed_ms: None, looks: 0 }
    }

    /// Takes note of what a look at `now_ms` showed.
    pub(crate) fn saw(&mut self, block: u64, timestamp: UnixSeconds, now_ms: u64) {
        let seen = Sighting { block, chain_ms: timestamp.get().saturating_mul(1000), seen_ms: now_ms };
        let Some(last) = self.last else {
            self.last = Some(seen);
            return;
        };
        if self.due_ms().is_some_and(|due| now_ms >= due) {
            self.looks += 1;
        }
        if block == last.block {
            return;
        }
        self.learn(last, seen);
        self.last = Some(seen);
        self.looks = 0;
    }

    fn learn(&mut self, last: Sighting, seen: Sighting) {
        let lag_ms = signed(seen.seen_ms).saturating_sub(signed(seen.chain_ms));
        let chain_gap = seen.chain_ms.saturating_sub(last.chain_ms);
        match &mut self.beat {
            Some(beat) if chain_gap > 0 && chain_gap.is_multiple_of(beat.interval_ms) => {
                beat.adjust(self.looks, lag_ms);
            }
            _ => {
                let supposed = supposed_beat(last, seen, self.idle_ms);
                let is_beat = supposed.is_some() && supposed == self.supposed_ms;
                self.beat = supposed.filter(|_| is_beat).map(|interval_ms| Beat { interval_ms, lag_ms });
                self.supposed_ms = supposed;
            }
        }
    }

    /// When the next block is due by our clock.
    fn due_ms(&self) -> Option<u64> {
        let (beat, last) = (self.beat?, self.last?);
        let next = signed(last.chain_ms.saturating_add(beat.interval_ms));
        Some(u64::try_from(next.saturating_add(beat.lag_ms)).unwrap_or_default())
    }

    /// How long to wait at `now_ms` before the next look.
    pub(crate) fn wait_ms(&self, now_ms: u64, closely: bool) -> u64 {
        let step = if closely { self.close_ms } else { self.idle_ms };
        let (Some(beat), Some(due)) = (self.beat, self.due_ms()) else {
            return step;
        };
        if now_ms < due {
            return self.wait_until_due(due - now_ms, closely);
        }
        // A block may be left out; the next one comes in time.
        let late = (now_ms - due) % beat.interval_ms;
        if late < WINDOW_MS.min(beat.interval_ms / 2) {
            return step.min(STEP_MS);
        }
        self.wait_until_due(beat.interval_ms - late, closely).min(self.idle_ms)
    }

    fn wait_until_due(&self, left: u64, closely: bool) -> u64 {
        if !closely {
            return left;
        }
        if left > EARLY_MS { (left - EARLY_MS).min(self.idle_ms) } else { left.min(self.close_ms) }
    }
}

impl Beat {
    /// Looks earlier where the block was there at the first look, and later where it took many.
    fn adjust(&mut self, looks: u64, lag_ms: i64) {
        let step = signed(STEP_MS);
        let far_off = lag_ms.abs_diff(self.lag_ms) > self.interval_ms / 2;
        match looks {
            _ if far_off => self.lag_ms = lag_ms,
            0 => self.lag_ms = self.lag_ms.min(lag_ms),
            1 => self.lag_ms = self.lag_ms.saturating_sub(step),
            2 => {}
            late => {
                let late = signed(late.saturating_sub(2)).saturating_mul(step / 2);
                self.lag_ms = self.lag_ms.saturating_add(late).min(lag_ms);
            }
        }
    }
}

/// The time between two blocks, if blocks that come at such a beat would be seen as these were.
fn supposed_beat(last: Sighting, seen: Sighting, idle_ms: u64) -> Option<u64> {
    let blocks = seen.block.checked_sub(last.block).filter(|blocks| *blocks > 0)?;
    let chain_gap = seen.chain_ms.checked_sub(last.chain_ms)?;
    let seen_gap = seen.seen_ms.saturating_sub(last.seen_ms);
    let interval = chain_gap / blocks;
    let steady = chain_gap.abs_diff(seen_gap) <= JITTER_MS.saturating_add(idle_ms);
    (chain_gap.is_multiple_of(blocks) && steady && BEATS_MS.contains(&interval)).then_some(interval)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of a chain: by number, when each is made and when it can be seen.
    struct Chain {
        blocks: Vec<(u64, u64)>,
    }

    impl Chain {
        /// Blocks every `interval_ms` that arrive `lag(n)` after their time; those in `left_out` do not come.
        fn steady(count: u64, interval_ms: u64, left_out: &[u64], lag: impl Fn(u64) -> u64) -> Self {
            let slots = (1..count).filter(|slot| !left_out.contains(slot));
            let blocks = slots.map(|slot| (slot * interval_ms, slot * interval_ms + lag(slot)));
            Self { blocks: blocks.collect() }
        }

        fn head(&self, now_ms: u64) -> (u64, u64) {
            let seen = self.blocks.iter().filter(|(_, arrival)| *arrival <= now_ms).count();
            let (made, _) = seen.checked_sub(1).map_or((0, 0), |last| self.blocks[last]);
            (seen as u64, made)
        }
    }

    /// Follows a chain and returns looks per block and the delays with which blocks were seen, after the first ten.
    fn follow(chain: &Chain, closely: bool) -> (f64, Vec<u64>) {
        let mut pace = Pace::new(1000, 100);
        let (mut now, mut looks, mut known, mut delays) = (0, 0_u64, 0, Vec::new());
        let end = chain.blocks.last().unwrap().1;
        while now <= end {
            let (block, made) = chain.head(now);
            if known >= 10 {
                looks += 1;
            }
            if block > known && block > 10 {
                delays.push(now - chain.blocks[block as usize - 1].1);
            }
            known = block;
            pace.saw(block, UnixSeconds::new(made / 1000), now);
            now += pace.wait_ms(now, closely).max(1);
        }
        (looks as f64 / delays.len() as f64, delays)
    }

    #[test]
    fn blocks_at_a_steady_beat_are_seen_at_once_with_few_looks() {
        let chain = Chain::steady(200, 5000, &[], |slot| 1200 + slot * 37 % 90);
        let (looks, delays) = follow(&chain, false);
        assert!(delays.iter().all(|delay| *delay <= STEP_MS), "{delays:?}");
        assert!(looks <= 3.0, "{looks} looks a block");
    }

    #[test]
    fn blocks_that_jitter_are_seen_soon_with_fewer_looks_than_one_a_second() {
        let chain = Chain::steady(200, 5000, &[], |slot| 900 + slot * 7919 % 800);
        let (looks, delays) = follow(&chain, false);
        let mean = delays.iter().sum::<u64>() / delays.len() as u64;
        assert!(mean <= 200 && delays.iter().all(|delay| *delay <= 1000), "{delays:?}");
        assert!(looks <= 5.0, "{looks} looks a block");
    }

    #[test]
    fn slots_without_a_block_do_not_break_the_beat() {
        let chain = Chain::steady(200, 5000, &[20, 21, 50, 51, 52, 90], |_| 1200);
        let (looks, delays) = follow(&chain, false);
        assert!(delays.iter().all(|delay| *delay <= STEP_MS), "{delays:?}");
        assert!(looks <= 4.0, "{looks} looks a block");
    }

    #[test]
    fn a_chain_without_a_beat_is_looked_at_in_equal_intervals() {
        let mut pace = Pace::new(1000, 100);
        for (block, made) in [(1, 10), (2, 11), (3, 30), (4, 31), (9, 32)] {
            pace.saw(block, UnixSeconds::new(made), 7_000 * block);
            assert_eq!(pace.wait_ms(7_000 * block, false), 1000);
            assert_eq!(pace.wait_ms(7_000 * block, true), 100);
        }
    }

    #[test]
    fn looking_closely_is_bounded_by_what_can_come() {
        let chain = Chain::steady(200, 5000, &[], |slot| 900 + slot * 7919 % 800);
        let (looks, delays) = follow(&chain, true);
        assert!(delays.iter().all(|delay| *delay <= 150), "{delays:?}");
        assert!(looks <= 25.0, "{looks} looks a block");
    }

    #[test]
    fn a_clock_that_was_moved_is_learned_anew() {
        let mut pace = Pace::new(1000, 100);
        for block in 1..10 {
            pace.saw(block, UnixSeconds::new(block * 5), block * 5000 + 500);
        }
        let before = pace.wait_ms(45_500, false);
        assert!((4000..=5000).contains(&before), "{before}");
        pace.saw(10, UnixSeconds::new(50 + 600), 50_500);
        pace.saw(11, UnixSeconds::new(55 + 600), 55_500);
        let wait = pace.wait_ms(55_500, false);
        assert!((4000..=5000).contains(&wait), "{wait}");
    }
}
