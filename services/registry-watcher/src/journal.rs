//! Keeps what the chain tells about jobs, together with who takes part in them.

use std::collections::{BTreeSet, HashMap};

use t4t_api::registry_watcher::JobHappening;
use t4t_chain::{BlockHash, ChainEvent, LoggedEvent, ScanPass};
use t4t_store::chain_events::{JobLog, JobLogChanges};
use t4t_types::{Address, JobId};

use crate::core::Core;
use crate::error::SyncError;

/// Name of the cursor of the events that were read.
pub(crate) const CURSOR: &str = "registry-watcher";

/// Client and provider of jobs.
pub(crate) type Parties = HashMap<JobId, (Address, Address)>;

/// What happened to a job, if the event is about that.
fn happening(event: &ChainEvent) -> Option<(JobId, JobHappening)> {
    Some(match event {
        ChainEvent::JobPosted { job, client, provider } => {
            (*job, JobHappening::Posted { client: *client, provider: *provider })
        }
        ChainEvent::JobAcked { job } => (*job, JobHappening::Acked),
        ChainEvent::JobClaimed { job, response_hash, paid } => {
            (*job, JobHappening::Claimed { response_hash: *response_hash, paid: *paid })
        }
        ChainEvent::JobCancelled { job, slash } => (*job, JobHappening::Cancelled { slash: *slash }),
        ChainEvent::JobTimedOut { job, slash } => (*job, JobHappening::TimedOut { slash: *slash }),
        _ => return None,
    })
}

/// The event that a kept entry was made of.
pub(crate) fn logged(log: &JobLog) -> Option<LoggedEvent> {
    let job = log.job;
    let event = match serde_json::from_str(&log.what).ok()? {
        JobHappening::Posted { client, provider } => ChainEvent::JobPosted { job, client, provider },
        JobHappening::Acked => ChainEvent::JobAcked { job },
        JobHappening::Claimed { response_hash, paid } => ChainEvent::JobClaimed { job, response_hash, paid },
        JobHappening::Cancelled { slash } => ChainEvent::JobCancelled { job, slash },
        JobHappening::TimedOut { slash } => ChainEvent::JobTimedOut { job, slash },
        JobHappening::Reorganised => return None,
    };
    let block_hash = BlockHash::new(log.block_hash);
    Some(LoggedEvent { event, block_number: log.block, block_hash, log_index: log.log_index, tx: log.tx })
}

/// Keeps a look's events, moves the cursor with them, and wakes whoever follows jobs. Returns who takes part in the
/// jobs they are about.
pub(crate) async fn record(core: &Core, pass: &ScanPass, moves_cursor: bool) -> Result<Parties, SyncError> {
    let parties = parties(core, pass).await?;
    let is_job = |event: &&LoggedEvent| happening(&event.event).is_some();
    let place = |event: &LoggedEvent| (*event.block_hash.as_bytes(), event.log_index);
    let removed: Vec<_> = pass.removed.iter().filter(is_job).map(place).collect();
    let added: Vec<_> = pass.added.iter().filter_map(|event| job_log(event, &parties)).collect();
    let is_quiet = removed.is_empty() && added.is_empty();
    if is_quiet && !moves_cursor {
        return Ok(parties);
    }
    let cursor = Some((CURSOR, pass.scanned_to));
    let changes = JobLogChanges { removed: &removed, added: &added, cursor, now_ms: core.now_ms() };
    core.store.job_logs_apply(changes).await?;
    if !is_quiet {
        core.newest.send_replace(core.store.job_logs_newest().await?);
    }
    Ok(parties)
}

fn job_log(event: &LoggedEvent, parties: &Parties) -> Option<JobLog> {
    let (job, what) = happening(&event.event)?;
    let (client, provider) = *parties.get(&job)?;
    Some(JobLog {
        block: event.block_number,
        block_hash: *event.block_hash.as_bytes(),
        log_index: event.log_index,
        tx: event.tx,
        job,
        client,
        provider,
        what: serde_json::to_string(&what).ok()?,
    })
}

/// Who takes part in a look's jobs: by its own events, by those kept, or else by the chain.
async fn parties(core: &Core, pass: &ScanPass) -> Result<Parties, SyncError> {
    let mut parties = Parties::new();
    let events = || pass.removed.iter().chain(&pass.added);
    for event in events() {
        if let ChainEvent::JobPosted { job, client, provider } = event.event {
            parties.insert(job, (client, provider));
        }
    }
    let mut unknown = BTreeSet::new();
    for (job, _) in events().filter_map(|event| happening(&event.event)) {
        if parties.contains_key(&job) || !unknown.insert(job) {
            continue;
        }
        if let Some(known) = core.store.job_parties(job).await? {
            unknown.remove(&job);
            parties.insert(job, known);
        }
    }
    if !unknown.is_empty() {
        let unknown: Vec<JobId> = unknown.into_iter().collect();
        let terms = core.config.contracts.escrow().jobs(&core.rpc, &unknown).await?;
        let found = unknown.into_iter().zip(terms).filter(|(_, terms)| !terms.client.is_zero());
        parties.extend(found.map(|(job, terms)| (job, (terms.client, terms.provider))));
    }
    Ok(parties)
}
