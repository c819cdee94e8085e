//! Trying again: only what does no harm when it happens twice.

use std::time::Duration;

use tracing::debug;

use super::Bee;
use crate::SwarmError;

const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// The node refused before it did anything: asking again is always harmless.
pub(super) fn was_busy(error: &SwarmError) -> bool {
    matches!(error, SwarmError::Node { status: 429 | 503, .. })
}

/// The node or the way to it failed, perhaps after the work was done.
pub(super) fn failed(error: &SwarmError) -> bool {
    let fault = matches!(error, SwarmError::Node { status: 429 | 500 | 502 | 503 | 504, .. });
    fault || matches!(error, SwarmError::Unreachable(_))
}

impl Bee {
    /// Repeats `work` while it fails in a way that `again` names, with pauses that treble from 0.3 s.
    ///
    /// `work` is no `AsyncFn`: futures of those can't be shown to be `Send` where they are spawned.
    pub(super) async fn retrying<T, F: Future<Output = Result<T, SwarmError>>>(
        &self,
        again: impl Fn(&SwarmError) -> bool,
        work: impl Fn() -> F,
    ) -> Result<T, SwarmError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..self.shared.config.attempts {
            match work().await {
                Err(error) if again(&error) => debug!(%error, "trying again"),
                done => return done,
            }
            self.shared.clock.sleep(jittered(pause)).await;
            pause *= 3;
        }
        work().await
    }
}

/// Half to all of `pause`, so that those who failed together don't come back together.
pub(super) fn jittered(pause: Duration) -> Duration {
    // Without randomness the pause is merely not spread.
    let dice = getrandom::u32().unwrap_or(u32::MAX);
    pause.mul_f64(0.5 + 0.5 * f64::from(dice) / f64::from(u32::MAX))
}
