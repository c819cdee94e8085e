//! Jobs as several endpoints have them: where they differ, what costs least if it is false.
//!
//! A provider that believes that a job is over does not acknowledge it, and its stake burns; one that believes in a job that
//! is not there works once for nothing. So a job is over once all say so, and there is one if anybody says so.

use futures_util::future::join_all;
use t4t_api::registry_watcher::WatcherError;
use t4t_chain::Rpc;
use t4t_types::{JobId, JobStatus, JobTerms};

use crate::core::Core;
use crate::error::chain;

/// How far a job is; what is over comes last.
const fn progress(status: JobStatus) -> u8 {
    match status {
        JobStatus::None => 0,
        JobStatus::Pending => 1,
        JobStatus::Acked => 2,
        JobStatus::Delivered => 3,
        JobStatus::Claimed | JobStatus::Cancelled | JobStatus::TimedOut => 4,
    }
}

/// Whether nothing is left to be done for a job, or there is none.
const fn is_over(status: JobStatus) -> bool {
    matches!(progress(status), 0 | 4)
}

/// Which of two answers costs less if it is false.
fn safer(one: JobTerms, other: JobTerms) -> JobTerms {
    match (one.status, other.status) {
        (JobStatus::None, _) => other,
        (_, JobStatus::None) => one,
        _ if progress(one.status) != progress(other.status) => {
            if progress(one.status) < progress(other.status) { one } else { other }
        }
        _ if one.max_payment != other.max_payment => {
            if one.max_payment < other.max_payment {
                one
            } else {
                other
            }
        }
        _ if other.delivery_deadline < one.delivery_deadline => other,
        _ => one,
    }
}

impl Core {
    /// A job as the chain has it now, by all endpoints that do their work. Where two are named, one alone does not end a
    /// job: those that are left alone just now are asked as well then.
    pub(crate) async fn job(&self, job: JobId) -> Result<JobTerms, WatcherError> {
        let mut said = self.job_by(&self.rpc.each_ready(), job).await;
        if said.is_empty() {
            let escrow = self.config.contracts.escrow();
            said.push(escrow.job(&self.rpc, job).await.map_err(|error| chain(&error))?);
        }
        let ends = |said: &[JobTerms]| said.iter().all(|terms| is_over(terms.status));
        if ends(&said) && !self.rpc.are_witnesses(said.len()) {
            said = self.job_by(&self.rpc.each(), job).await;
            if ends(&said) && !self.rpc.are_witnesses(said.len()) {
                return Err(not_known_now());
            }
        }
        said.into_iter().reduce(safer).ok_or_else(not_known_now)
    }

    async fn job_by(&self, each: &[Rpc], job: JobId) -> Vec<JobTerms> {
        let escrow = self.config.contracts.escrow();
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(each.len());
        for rpc in each {
            asked.push(escrow.job(rpc, job));
        }
        join_all(asked).await.into_iter().flatten().collect()
    }
}

fn not_known_now() -> WatcherError {
    WatcherError::Chain {
        reason:
            "one endpoint alone says that the job is over, and no other one answers: not known now, try again"
                .into(),
    }
}

#[cfg(test)]
mod tests {
    use t4t_types::{Address, SwarmRef, UnixSeconds, Xbzz};

    use super::*;

    fn terms(status: JobStatus, plur: u128) -> JobTerms {
        JobTerms {
            client: Address::new([1; 20]),
            provider: Address::new([2; 20]),
            request_hash: SwarmRef::ZERO,
            response_hash: SwarmRef::ZERO,
            model: String::new(),
            max_payment: Xbzz::from_plur(plur),
            posted_at: UnixSeconds::new(1),
            acked_at: UnixSeconds::new(0),
            ack_deadline: UnixSeconds::new(31),
            delivery_deadline: UnixSeconds::new(100),
            status,
        }
    }

    #[test]
    fn no_single_endpoint_ends_a_job_or_denies_it_or_pays_more() {
        use JobStatus::{Acked, Cancelled, Claimed, None, Pending};
        for (lie, truth) in [(Claimed, Pending), (Cancelled, Acked), (None, Pending), (None, Acked)] {
            for (one, other) in [(lie, truth), (truth, lie)] {
                assert_eq!(safer(terms(one, 5), terms(other, 5)).status, truth, "{lie:?} for {truth:?}");
            }
        }
        assert_eq!(safer(terms(Pending, 500), terms(Pending, 5)).max_payment, Xbzz::from_plur(5));
    }
}
