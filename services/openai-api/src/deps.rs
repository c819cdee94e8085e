//! Whom the edge needs.

use std::fmt;
use std::sync::Arc;

use t4t_api::{Buying, RegistryWatcher};
use t4t_clock::SharedClock;
use t4t_runtime::Readiness;

/// Whom the edge needs.
pub struct OpenAiDeps {
    /// Whoever buys completions.
    pub buying: Arc<dyn Buying>,
    /// Whoever knows the models.
    pub watcher: Arc<dyn RegistryWatcher>,
    /// The board of the process that the edge runs in: `/ready` shows it.
    pub readiness: Readiness,
    /// The clock.
    pub clock: SharedClock,
}

impl fmt::Debug for OpenAiDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiDeps").field("clock", &self.clock).finish_non_exhaustive()
    }
}
