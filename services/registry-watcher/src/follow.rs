//! Streams of what happens to a wallet's jobs.
//!
//! The kept events are the stream: a reader that has read all of them waits until more are kept and reads on. So there is
//! no seam between what is known and what comes, and a slow reader takes no memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use t4t_api::ItemStream;
use t4t_api::registry_watcher::{JobEvent, JobHappening, JobRole, WatchJobs, WatcherError};
use t4t_store::chain_events::{JobLogQuery, KeptJobLog, Party};

use crate::core::Core;
use crate::error::store;

/// Events that are read at a time.
const PAGE: u32 = 256;

/// What happens to the jobs of a wallet.
pub(crate) fn jobs(core: Arc<Core>, call: WatchJobs) -> ItemStream<WatchJobs> {
    let mut newest = core.newest.subscribe();
    let from_now = *newest.borrow_and_update();
    let mut reader = Reader { after: call.since_block.map_or(from_now, |_| 0), call };
    let stop = core.stop.clone();
    Box::pin(async_stream::try_stream! {
        loop {
            let up_to = *newest.borrow_and_update();
            while reader.after < up_to {
                for event in reader.page(&core, up_to).await? {
                    yield event;
                }
            }
            // It fails only when the watcher is gone.
            if !matches!(stop.unless_stopped(newest.changed()).await, Some(Ok(()))) {
                return;
            }
        }
    })
}

struct Reader {
    call: WatchJobs,
    /// Number of the last event that was read.
    after: u64,
}

impl Reader {
    async fn page(&mut self, core: &Core, up_to: u64) -> Result<Vec<JobEvent>, WatcherError> {
        // A reader that asked from a block on is content with what is left; one in the middle must not miss any.
        if self.after > 0 && self.after < core.forgotten.load(Ordering::Relaxed) {
            return Err(WatcherError::Lagged);
        }
        let party = match self.call.role {
            JobRole::Client => Party::Client,
            JobRole::Provider => Party::Provider,
        };
        let query = JobLogQuery {
            wallet: self.call.wallet,
            party,
            since_block: self.call.since_block.unwrap_or_default(),
            after: self.after,
            up_to,
            limit: PAGE,
        };
        let kept = core.store.job_logs_by_wallet(query).await.map_err(|error| store(&error))?;
        let is_last = u32::try_from(kept.len()).unwrap_or(u32::MAX) < PAGE;
        let read_to = kept.last().map_or(up_to, |last| last.sequence);
        self.after = if is_last { up_to } else { read_to };
        kept.into_iter().map(told).collect()
    }
}

fn told(kept: KeptJobLog) -> Result<JobEvent, WatcherError> {
    let KeptJobLog { is_gone, log, .. } = kept;
    let what = if is_gone {
        JobHappening::Reorganised
    } else {
        let damaged = |_| WatcherError::Store { reason: "a kept event can't be read".into() };
        serde_json::from_str(&log.what).map_err(damaged)?
    };
    Ok(JobEvent { job: log.job, what, block: log.block, transaction: log.tx })
}
