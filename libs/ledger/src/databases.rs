//! What the databases say, compared with the chain.

use std::collections::HashMap;
use std::path::Path;

use t4t_chain::contracts::JobStatus;
use t4t_protocol::job::{BuyingState, SellingState};
use t4t_store::buying::BuyingJob;
use t4t_store::selling::SellingJob;
use t4t_store::{Store, StoreError};
use t4t_types::{Address, JobId, SwarmRef, Xbzz};

use super::JobEntry;

/// More rows than any market under test makes.
const ALL: u32 = 100_000;

/// What is wrong with a gateway's rows.
pub(super) async fn compare_buyer(
    database: &Path,
    wallet: Address,
    jobs: &[JobEntry],
    is_closed: bool,
) -> Result<Vec<String>, StoreError> {
    let store = Store::open_existing(database).await?;
    let rows = store.buying_list_recent(ALL).await?;
    store.close().await;
    let posted = by_id(jobs, |job| job.client == wallet);
    let mut wrong = posted_twice(wallet, jobs);
    for job in posted.keys().filter(|job| is_closed && !rows.iter().any(|row| row.job == Some(**job))) {
        wrong.push(format!("the gateway paid for job {job} and has no row of it"));
    }
    for row in &rows {
        let name = format!("request {} attempt {}", row.request_id, row.attempt);
        match row.job.map(|job| (job, posted.get(&job))) {
            Some((job, None)) => wrong.push(format!("{name} names job {job}, which the chain does not have")),
            Some((_, Some(job))) => wrong.extend(differs_from_buyer(&name, row, job, is_closed)),
            None if is_closed && !row.state.is_final() => {
                wrong.push(format!("{name} is {} for ever", row.state));
            }
            None => {}
        }
    }
    Ok(wrong)
}

fn by_id(jobs: &[JobEntry], is_own: impl Fn(&JobEntry) -> bool) -> HashMap<JobId, &JobEntry> {
    jobs.iter().filter(|job| is_own(job)).map(|job| (job.job, job)).collect()
}

/// A sealed request is one attempt's alone: seen twice on the chain, it was paid for twice.
fn posted_twice(wallet: Address, jobs: &[JobEntry]) -> Vec<String> {
    let mut posts: HashMap<SwarmRef, u32> = HashMap::new();
    let hashes = jobs.iter().filter(|job| job.client == wallet).filter_map(|job| job.request_hash);
    for hash in hashes {
        *posts.entry(hash).or_default() += 1;
    }
    let twice = posts.into_iter().filter(|(_, count)| *count > 1);
    twice.map(|(hash, count)| format!("request {hash} was posted {count} times")).collect()
}

fn differs_from_buyer(name: &str, row: &BuyingJob, job: &JobEntry, is_closed: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let expected = match job.status {
        JobStatus::Claimed if job.paid.is_zero() => Some(BuyingState::Refused),
        JobStatus::Claimed => Some(BuyingState::Claimed),
        JobStatus::Cancelled => Some(BuyingState::Cancelled),
        JobStatus::TimedOut => Some(BuyingState::TimedOut),
        _ => None,
    };
    if (is_closed || row.state.is_final()) && expected != Some(row.state) {
        wrong.push(format!("{name} is {} and the chain says {:?}", row.state, job.status));
    }
    if row.provider != job.provider {
        wrong.push(format!("{name} names another provider than the chain"));
    }
    wrong.extend(differs_in_amount(name, row.paid, job));
    wrong
}

/// What is wrong with a provider's rows.
pub(super) async fn compare_seller(
    database: &Path,
    wallet: Address,
    jobs: &[JobEntry],
    is_closed: bool,
) -> Result<Vec<String>, StoreError> {
    let store = Store::open_existing(database).await?;
    let rows = store.selling_list_recent(ALL).await?;
    store.close().await;
    let given = by_id(jobs, |job| job.provider == wallet);
    let mut wrong = Vec::new();
    // A job that its client took back while nobody was there is rightly never taken in.
    let claimed = given.values().filter(|job| is_closed && job.claims > 0);
    for job in claimed.filter(|job| !rows.iter().any(|row| row.job == job.job)) {
        wrong.push(format!("the provider claimed job {} and has no row of it", job.job));
    }
    for row in &rows {
        match given.get(&row.job) {
            // A reorganisation took the job away, or gave it another id.
            None if row.state == SellingState::Lost && row.paid.is_none() => {}
            None => wrong.push(format!("a row names job {}, which the chain does not have", row.job)),
            Some(job) => wrong.extend(differs_from_seller(row, job, is_closed)),
        }
    }
    Ok(wrong)
}

fn differs_from_seller(row: &SellingJob, job: &JobEntry, is_closed: bool) -> Vec<String> {
    let name = format!("sold job {}", row.job);
    let mut wrong = Vec::new();
    let is_right = match row.state {
        SellingState::Claimed => job.status == JobStatus::Claimed,
        SellingState::Refused => job.status == JobStatus::Claimed && job.paid.is_zero(),
        SellingState::Lost => matches!(job.status, JobStatus::Cancelled | JobStatus::TimedOut),
        _ => !is_closed,
    };
    if !is_right {
        wrong.push(format!("{name} is {} and the chain says {:?}", row.state, job.status));
    }
    if row.state == SellingState::Claimed && row.payment != Some(job.paid) {
        wrong.push(format!("{name} costs {:?} and {} was paid", row.payment, job.paid));
    }
    wrong.extend(differs_in_amount(&name, row.paid, job));
    wrong
}

fn differs_in_amount(name: &str, paid: Option<Xbzz>, job: &JobEntry) -> Option<String> {
    let paid = paid?;
    (paid != job.paid).then(|| format!("{name} says that {paid} was paid and the chain {}", job.paid))
}
