//! Whether the selling side sells, on the process's board.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::Selling;
use t4t_api::job_dispatcher::{GetSellingStatus, SellingStatus};
use t4t_clock::SharedClock;
use t4t_runtime::health::Component;

/// How often the selling side is asked how it does.
const PAUSE: Duration = Duration::from_secs(2);

/// Says whether the selling side takes jobs, and if not, why and what to do about it; for as long as the process lives.
pub async fn watch_readiness(selling: Arc<dyn Selling>, clock: SharedClock, component: Component) {
    let mut was_on_offer = false;
    loop {
        match selling.ask(GetSellingStatus {}).await {
            Ok(SellingStatus { refusing: Some(reason), next_step, .. }) => {
                component.not_ready(reason, next_step.unwrap_or_default());
            }
            Ok(SellingStatus { on_offer: true, .. }) => {
                was_on_offer = true;
                component.ready();
            }
            Ok(_) if was_on_offer => {
                component.not_ready(
                    "the registry no longer shows this provider as live",
                    "look at the log for its heartbeat, and at its stake",
                );
            }
            // Registering takes some blocks; until then it is starting.
            Ok(_) => {}
            Err(error) => component.not_ready(error.to_string(), "look at the log"),
        }
        clock.sleep(PAUSE).await;
    }
}
