//! Claims that were told before, looked up once more.

use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::registry_watcher::{Head, JobHappening, JobRole, RegistryWatcher, WatchJobs};
use t4t_clock::{Clock, timeout};
use t4t_types::{Address, JobId, SwarmRef, Xbzz};

/// Blocks back from the head in which the event of a claim is looked for: an hour on Gnosis Chain.
const EVENT_BLOCKS: u64 = 720;

/// How long the watcher may take for one event that it has kept.
const KEPT_EVENT_LIMIT: Duration = Duration::from_millis(500);

/// What a job's claim named and took, if the watcher has kept its event.
pub(crate) async fn kept_claim(
    watcher: &dyn RegistryWatcher,
    clock: &dyn Clock,
    (wallet, role): (Address, JobRole),
    job: JobId,
    head: Head,
) -> Option<(SwarmRef, Xbzz)> {
    let since_block = Some(head.block.saturating_sub(EVENT_BLOCKS));
    let mut events = watcher.open(WatchJobs { wallet, role, since_block }).await.ok()?;
    let mut claim = None;
    // The stream goes on with what comes: what is kept is there at once.
    while let Ok(Some(Ok(event))) = timeout(clock, KEPT_EVENT_LIMIT, events.next()).await {
        match event.what {
            JobHappening::Claimed { response_hash, paid } if event.job == job => {
                claim = Some((response_hash, paid));
            }
            JobHappening::Reorganised if event.job == job => claim = None,
            _ => {}
        }
    }
    claim
}
