//! Whether the chain is followed, on the process's board.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::RegistryWatcher;
use t4t_api::registry_watcher::GetHead;
use t4t_clock::SharedClock;
use t4t_runtime::health::Component;
use tokio::sync::watch;

use crate::SyncState;

/// How often the watcher is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// For how long looks at the chain may fail before that is worth a word: one that failed is made again at once.
const FAILING_MS: u64 = 10_000;

/// A head of the chain older than this says that no blocks come, whatever the endpoint answers.
const STALE_HEAD_MS: u64 = 60_000;

const NEXT_STEP: &str = "check GNOSIS_RPC_URL, or name more endpoints there, separated by commas";

/// Says while the chain is out of sight; for as long as the process lives.
pub async fn watch_chain(
    watcher: Arc<dyn RegistryWatcher>,
    synced: watch::Receiver<SyncState>,
    clock: SharedClock,
    component: Component,
) {
    let mut failing_since_ms = None;
    loop {
        let now_ms = clock.unix_millis();
        let state = synced.borrow().clone();
        let since_ms = match &state {
            SyncState::Failing { .. } => Some(failing_since_ms.unwrap_or(now_ms)),
            _ => None,
        };
        failing_since_ms = since_ms;
        let failing_ms = since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        match state {
            SyncState::Failing { reason, .. } if failing_ms >= FAILING_MS => {
                component.not_ready(format!("the chain can't be reached: {reason}"), NEXT_STEP);
            }
            SyncState::Failing { .. } | SyncState::Loading => {}
            SyncState::Synced { unconfirmed, .. } => match watcher.ask(GetHead {}).await {
                Ok(head) if head.age_ms > STALE_HEAD_MS => component
                    .not_ready(format!("the chain has told nothing for {} s", head.age_ms / 1000), NEXT_STEP),
                Ok(_) if unconfirmed > 0 => component.ready_but(
                    format!("{unconfirmed} live providers are left out: no two endpoints of the chain name the same key of theirs"),
                    "check each endpoint in GNOSIS_RPC_URL, or name a third one",
                ),
                Ok(_) => component.ready(),
                Err(error) => component.not_ready(error.to_string(), "look at the log"),
            },
        }
        clock.sleep(PAUSE).await;
    }
}
