//! The machine's clock, and what is done about its being set.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use t4t_types::UnixSeconds;

use crate::{Clock, SharedClock};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, ready to be shared.
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn unix_millis(&self) -> u64 {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let next = advance(*last, Reading { at: Instant::now(), shows: shown_millis() });
        *last = Some(next);
        next.shows
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(shown_millis() / 1000)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// What was shown when.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    shows: u64,
}

static LAST: Mutex<Option<Reading>> = Mutex::new(None);

/// The machine's clock as it is, but never behind what has passed since the last reading: a clock that is set back
/// would make everything that waits wait for as long again.
fn advance(last: Option<Reading>, now: Reading) -> Reading {
    let Some(last) = last else { return now };
    let passed = now.at.saturating_duration_since(last.at);
    let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    let least = last.shows.saturating_add(passed_ms);
    if now.shows >= least {
        return now;
    }
    // The part of a millisecond that passed is kept for the next reading.
    Reading { at: last.at + Duration::from_millis(passed_ms), shows: least }
}

/// What the machine's clock shows.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn shown_millis() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let shown = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    #[cfg(debug_assertions)]
    let shown = skew::apply(shown);
    shown
}

/// A machine whose clock is wrong, for tests: in builds with debug assertions, the file that `CLOCK_SKEW_FILE` names
/// holds the milliseconds that this clock is ahead (or, below zero, behind), and may change at any time.
#[cfg(debug_assertions)]
mod skew {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("CLOCK_SKEW_FILE").map(PathBuf::from));

    pub(super) fn apply(shown: u64) -> u64 {
        let Some(file) = &*FILE else { return shown };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        shown.saturating_add_signed(text.trim().parse().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_and_one_that_is_set_forward_is_followed() {
        let began = Instant::now();
        let reading = |after_ms: u64, shows| Reading { at: began + Duration::from_millis(after_ms), shows };
        let first = advance(None, reading(0, 5_000_000));
        assert_eq!(first.shows, 5_000_000);
        let set_back = advance(Some(first), reading(10, 1_400_010));
        assert_eq!(set_back.shows, 5_000_010);
        let later = advance(Some(set_back), reading(25, 1_400_025));
        assert_eq!(later.shows, 5_000_025);
        let set_forward = advance(Some(later), reading(30, 6_000_000));
        assert_eq!(set_forward.shows, 6_000_000);
    }

    #[test]
    fn nothing_is_lost_between_many_readings() {
        let began = Instant::now();
        let mut last = advance(None, Reading { at: began, shows: 5_000_000 });
        for number in 1..=1000 {
            let at = began + Duration::from_micros(number * 100);
            last = advance(Some(last), Reading { at, shows: 0 });
        }
        assert_eq!(last.shows, 5_000_100);
    }
}
