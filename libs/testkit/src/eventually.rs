//! Waiting for a condition, with a limit.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How often the condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` gives something, but for at most `limit`; the error says what was waited for.
///
/// # Errors
/// The limit passed.
pub async fn eventually<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let ends = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        anyhow::ensure!(Instant::now() < ends, "waited {limit:?} in vain for: {what}");
        // A test's own pace, not the house's time.
        let _elapsed = tokio::time::timeout(LOOK_EVERY, std::future::pending::<()>()).await;
    }
}

/// Waits until `look` gives `expected`, but for at most `limit`; the error says what it gave last.
///
/// # Errors
/// The limit passed.
pub async fn eventually_equals<T: PartialEq + Debug>(
    limit: Duration,
    what: &str,
    expected: T,
    mut look: impl AsyncFnMut() -> T,
) -> anyhow::Result<()> {
    let ends = Instant::now() + limit;
    loop {
        let got = look().await;
        if got == expected {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < ends,
            "waited {limit:?} in vain for {what} to be {expected:?}; it is {got:?}"
        );
        let _elapsed = tokio::time::timeout(LOOK_EVERY, std::future::pending::<()>()).await;
    }
}
