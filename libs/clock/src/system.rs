//! The machine's clock, and what is done about its being set.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    /// What the clock showed when it was first read, and what has passed since: whoever waits neither waits again nor
    /// gives up when the clock is set.
    fn unix_millis(&self) -> u64 {
        FIRST.at(uptime())
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(shown_millis() / 1000)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

static FIRST: LazyLock<Reading> = LazyLock::new(|| Reading { shows_ms: shown_millis(), uptime: uptime() });

/// What was shown when.
#[derive(Clone, Copy, Debug)]
struct Reading {
    shows_ms: u64,
    uptime: Duration,
}

impl Reading {
    fn at(&self, uptime: Duration) -> u64 {
        let passed = uptime.saturating_sub(self.uptime);
        self.shows_ms.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How long the machine has been up, asleep or not.
#[cfg(target_os = "linux")]
fn uptime() -> Duration {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    uptime.try_into().unwrap_or_default()
}

/// Time that passes whatever the clock is set to.
#[cfg(not(target_os = "linux"))]
fn uptime() -> Duration {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    BEGAN.elapsed()
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
    fn time_passes_as_the_machine_runs() {
        let first = Reading { shows_ms: 5_000_000, uptime: Duration::from_secs(100) };
        assert_eq!(first.at(Duration::from_secs(100)), 5_000_000);
        assert_eq!(first.at(Duration::from_millis(101_500)), 5_001_500);
    }

    #[test]
    fn it_begins_with_what_the_clock_shows() {
        let (passed, shown) = (SystemClock.unix_millis(), shown_millis());
        assert!(shown.abs_diff(passed) < 60_000, "{passed} and {shown}");
        assert!(SystemClock.unix_millis() >= passed);
    }
}
