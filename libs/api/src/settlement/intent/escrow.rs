//! What is done with jobs in escrow.

use serde::{Deserialize, Serialize};
use t4t_types::{Address, JobId, ModelId, SwarmRef, UnixSeconds, Xbzz};

/// What a transaction is to do with a job in escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum EscrowIntent {
    /// Puts a job's payment into escrow.
    PostJob {
        /// Who is to do it.
        provider: Address,
        /// Where the sealed request lies.
        request_hash: SwarmRef,
        /// The model asked for.
        model: ModelId,
        /// What the job may cost at most.
        max_payment: Xbzz,
        /// Until when the provider must have claimed.
        delivery_deadline: UnixSeconds,
    },
    /// Acknowledges a job.
    AckJob {
        /// The job.
        job: JobId,
    },
    /// Claims a delivered job's payment.
    ClaimJob {
        /// The job.
        job: JobId,
        /// Where the sealed answer lies.
        response_hash: SwarmRef,
        /// What the job cost.
        paid: Xbzz,
    },
    /// Refuses a job: a claim of nothing, which refunds the client and costs no stake.
    RefuseJob {
        /// The job.
        job: JobId,
    },
    /// Takes back the payment of a job that was not acknowledged in time.
    CancelJob {
        /// The job.
        job: JobId,
    },
    /// Takes back the payment of a job that was not delivered in time.
    TimeOutJob {
        /// The job.
        job: JobId,
    },
}
