//! Telling the dispatcher that the runner is there, again and again before the lease ends.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::Selling;
use t4t_api::job_dispatcher::{RegisterRunner, RunnerLease, SellingError};
use t4t_clock::SharedClock;
use tokio::sync::Notify;
use url::Url;

use crate::service::Service;

/// The shortest and the longest time between two renewals, whatever the lease.
const RENEWAL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(600));
/// The first wait after a failure; it doubles up to the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// A runner that is known to a dispatcher.
pub(crate) struct Registration {
    /// The runner's name, unique among one provider's runners.
    pub(crate) runner: String,
    /// Where the dispatcher reaches it.
    pub(crate) url: Url,
    /// The dispatcher.
    pub(crate) dispatcher: Arc<dyn Selling>,
    /// The runner.
    pub(crate) service: Arc<Service>,
    /// Its time.
    pub(crate) clock: SharedClock,
    /// Told when the offered models changed, so that the dispatcher learns it at once.
    pub(crate) changed: Arc<Notify>,
}

impl Registration {
    /// Registers and renews for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut retry = RETRY.0;
        loop {
            let wait = match self.register().await {
                Ok(lease) => {
                    retry = RETRY.0;
                    (Duration::from_millis(lease.for_ms) / 3).clamp(RENEWAL.0, RENEWAL.1)
                }
                Err(error) => {
                    tracing::warn!(%error, "the dispatcher did not take the registration");
                    let wait = retry;
                    retry = (retry * 2).min(RETRY.1);
                    wait
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Says once what the runner can do now; a runner that stops says that it can do nothing.
    pub(crate) async fn register(&self) -> Result<RunnerLease, SellingError> {
        let status = self.service.status();
        self.dispatcher
            .ask(RegisterRunner { runner: self.runner.clone(), url: self.url.clone(), status })
            .await
    }
}
