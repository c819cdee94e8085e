//! A job as the chain has it, put together from its terms and its events.

use t4t_chain::ChainEvent;
use t4t_chain::contracts::{JobStatus, JobTerms};
use t4t_types::{Address, JobId, SwarmRef, Xbzz};

/// A job as the chain has it.
#[derive(Clone, Debug)]
pub struct JobEntry {
    /// The job.
    pub job: JobId,
    /// Who paid.
    pub client: Address,
    /// Who was to work.
    pub provider: Address,
    /// Where the sealed request lies, by the event of its posting.
    pub request_hash: Option<SwarmRef>,
    /// What was put into escrow, by the same event.
    pub max_payment: Xbzz,
    /// How far it is.
    pub status: JobStatus,
    /// What was paid, in all.
    pub paid: Xbzz,
    /// What was burned of the provider's stake, in all.
    pub slashed: Xbzz,
    /// How often it was claimed.
    pub claims: usize,
}

pub(crate) fn entry(job: JobId, terms: &JobTerms, events: &[ChainEvent]) -> JobEntry {
    let mut entry = JobEntry {
        job,
        client: terms.client,
        provider: terms.provider,
        request_hash: None,
        max_payment: terms.max_payment,
        status: terms.status,
        paid: Xbzz::ZERO,
        slashed: Xbzz::ZERO,
        claims: 0,
    };
    for event in events.iter().filter(|event| event.job() == Some(job)) {
        match event {
            ChainEvent::JobPosted { client, provider, .. } => {
                (entry.client, entry.provider) = (*client, *provider);
            }
            ChainEvent::JobTermsPosted { request_hash, max_payment, .. } => {
                entry.request_hash = Some(*request_hash);
                entry.max_payment = *max_payment;
            }
            ChainEvent::JobClaimed { paid, .. } => {
                entry.claims += 1;
                entry.paid = entry.paid.saturating_add(*paid);
            }
            ChainEvent::StakeSlashed { amount, .. } => {
                entry.slashed = entry.slashed.saturating_add(*amount);
            }
            _ => {}
        }
    }
    entry
}
