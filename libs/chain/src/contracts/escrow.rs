//! The escrow's calls: jobs from posting to payment.

use ethers_core::abi::Token as AbiToken;
use serde::{Deserialize, Serialize};
use t4t_types::{Address, JobId, JobStatus, JobTerms, ModelId, SwarmRef, UnixSeconds, Xbzz, keccak256};

use crate::abi::{Garbled, Interface, Reader, address_token, bytes32_token, uint_token};
use crate::error::ChainError;
use crate::read::Call;
use crate::rpc::Rpc;

/// The escrow of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escrow {
    /// Where it is.
    pub address: Address,
}

/// What a client asks a provider for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrder {
    /// Who is to do it.
    pub provider: Address,
    /// Where the sealed request lies.
    pub request_hash: SwarmRef,
    /// The model.
    pub model: ModelId,
    /// What is put into escrow.
    pub max_payment: Xbzz,
    /// When the answer must be claimed at the latest, by the chain's clock.
    pub delivery_deadline: UnixSeconds,
}

/// Limits of our escrow; version 1 has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowLimits {
    /// Least highest payment of a job.
    pub min_payment: Xbzz,
    /// Greatest highest payment of a job.
    pub max_payment: Xbzz,
    /// Seconds after posting within which the delivery deadline must lie.
    pub max_delivery_window: u64,
    /// Seconds after a missed deadline from which anyone may end the job.
    pub public_grace: u64,
}

impl Escrow {
    /// Seconds after posting within which a job must be acknowledged.
    pub const ACK_WINDOW: u64 = 30;

    fn call(&self, function: &str, arguments: &[AbiToken]) -> Call {
        Call { to: self.address, data: Interface::Escrow.encode(function, arguments) }
    }

    fn job_call(&self, function: &str, job: JobId) -> Call {
        self.call(function, &[bytes32_token(job.as_bytes())])
    }

    /// Posts a job; the escrow takes the payment from its allowance.
    pub fn post_job(&self, order: &JobOrder) -> Call {
        let arguments = [
            address_token(order.provider),
            bytes32_token(order.request_hash.as_bytes()),
            AbiToken::String(order.model.to_string()),
            uint_token(order.max_payment.plur()),
            uint_token(order.delivery_deadline.get()),
        ];
        self.call("postJob", &arguments)
    }

    /// Acknowledges a job.
    pub fn ack_job(&self, job: JobId) -> Call {
        self.job_call("ackJob", job)
    }

    /// Claims `paid` for the answer at `response_hash`; a claim of nothing refuses the job.
    pub fn claim_job(&self, job: JobId, response_hash: SwarmRef, paid: Xbzz) -> Call {
        let arguments = [
            bytes32_token(job.as_bytes()),
            bytes32_token(response_hash.as_bytes()),
            uint_token(paid.plur()),
            AbiToken::Bytes(Vec::new()),
        ];
        self.call("claimJob", &arguments)
    }

    /// Ends a job that was not acknowledged in time.
    pub fn cancel_job(&self, job: JobId) -> Call {
        self.job_call("cancelJob", job)
    }

    /// Ends a job that was not answered in time.
    pub fn timeout_job(&self, job: JobId) -> Call {
        self.job_call("timeoutJob", job)
    }

    /// Refuses a job with a reason. Our escrow only: on a version-1 escrow, claim nothing instead.
    pub fn reject_job(&self, job: JobId, reason: u8) -> Call {
        let arguments = [bytes32_token(job.as_bytes()), uint_token(reason)];
        Call { to: self.address, data: Interface::Extensions.encode("rejectJob", &arguments) }
    }

    /// A job as the chain has it; for an unknown id all zeros and [`JobStatus::None`].
    pub async fn job(&self, rpc: &Rpc, job: JobId) -> Result<JobTerms, ChainError> {
        super::view(rpc, self.job_call("jobs", job), "a job", read_terms).await
    }

    /// The same for many jobs, in few requests and in the order of the ids.
    pub async fn jobs(&self, rpc: &Rpc, jobs: &[JobId]) -> Result<Vec<JobTerms>, ChainError> {
        let calls: Vec<Call> = jobs.iter().map(|job| self.job_call("jobs", *job)).collect();
        super::views(rpc, &calls, "a job", read_terms).await?.into_iter().collect()
    }

    /// Jobs posted so far; the next one's id is [`Self::job_id`] of this plus one.
    pub async fn job_counter(&self, rpc: &Rpc) -> Result<u64, ChainError> {
        super::view(rpc, self.call("jobCounter", &[]), "the job counter", |mut answer| answer.u64()).await
    }

    /// The registry whose providers take jobs here.
    pub async fn registry(&self, rpc: &Rpc) -> Result<Address, ChainError> {
        super::view(rpc, self.call("registry", &[]), "the registry's address", |mut answer| answer.address())
            .await
    }

    /// The token that is paid with.
    pub async fn xbzz(&self, rpc: &Rpc) -> Result<Address, ChainError> {
        super::view(rpc, self.call("xbzz", &[]), "the token's address", |mut answer| answer.address()).await
    }

    /// Limits of our escrow, or `None` if this is a version-1 escrow, which also has no `rejectJob`.
    pub async fn limits(&self, rpc: &Rpc) -> Result<Option<EscrowLimits>, ChainError> {
        let names = ["MIN_JOB_PAYMENT", "MAX_JOB_PAYMENT", "MAX_DELIVERY_WINDOW", "PUBLIC_GRACE"];
        let calls =
            names.map(|name| Call { to: self.address, data: Interface::Extensions.encode(name, &[]) });
        let answers = super::views(rpc, &calls, "a limit of the escrow", |mut answer| answer.u128()).await?;
        let limits: Vec<Option<u128>> =
            answers.into_iter().map(super::if_present).collect::<Result<_, _>>()?;
        let [Some(min), Some(max), Some(window), Some(grace)] = limits[..] else {
            return Ok(None);
        };
        Ok(Some(EscrowLimits {
            min_payment: Xbzz::from_plur(min),
            max_payment: Xbzz::from_plur(max),
            max_delivery_window: u64::try_from(window).unwrap_or(u64::MAX),
            public_grace: u64::try_from(grace).unwrap_or(u64::MAX),
        }))
    }

    /// The id of the `counter`-th job of an escrow if `client` posts it.
    pub fn job_id(&self, chain_id: u64, client: Address, counter: u64) -> JobId {
        let parts =
            [uint_token(chain_id), address_token(self.address), address_token(client), uint_token(counter)];
        JobId::new(keccak256(ethers_core::abi::encode(&parts)))
    }
}

/// A job as the view answers it. The model is cut after 1,024 bytes; our escrow forgets a job's request once it is claimed
/// and then answers zero.
pub(super) fn read_terms(mut answer: Reader<'_>) -> Result<JobTerms, Garbled> {
    Ok(JobTerms {
        client: answer.address()?,
        provider: answer.address()?,
        request_hash: answer.word()?.into(),
        response_hash: answer.word()?.into(),
        model: answer.text()?,
        max_payment: Xbzz::from_plur(answer.u128()?),
        posted_at: UnixSeconds::new(answer.u64()?),
        acked_at: UnixSeconds::new(answer.u64()?),
        ack_deadline: UnixSeconds::new(answer.u64()?),
        delivery_deadline: UnixSeconds::new(answer.u64()?),
        status: JobStatus::from_number(answer.u8()?).ok_or(Garbled::new("a status that is not known"))?,
    })
}
