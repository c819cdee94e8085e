//! Jobs in escrow: posting takes their payment from the wallet, everything else moves what lies there.

use t4t_api::settlement::{EscrowIntent, SettlementError};
use t4t_chain::contracts::JobOrder;
use t4t_chain::{Call, ChainEvent, ContractAddresses};
use t4t_types::{SwarmRef, UnixSeconds, Xbzz};

use super::contract::{ContractIntent, Effect};
use super::plan::{Gas, Plan, Spender};

/// Gas of an acknowledgement: 35,673 measured on the live contracts. What is not used is not paid.
const ACK_GAS: u64 = 80_000;

/// Gas of a claim: 110,431 measured on the live contracts after refunds of up to a fifth.
const CLAIM_GAS: u64 = 250_000;

/// Gas of a refusal: 61,832 measured on the live contracts after refunds of up to a fifth.
const REFUSE_GAS: u64 = 180_000;

/// Gas that a call of the escrow may take whatever the estimate says: a false one would have it run out of gas, which is
/// paid for nothing. What is not used is not paid.
const LEAST_GAS: u64 = 250_000;

/// Gas that no call of the escrow needs: twice the 388,000 that a post takes on the live contracts; ours takes 190,000. A
/// call that fails in the token takes all of it.
const MOST_GAS: u64 = 800_000;

impl Spender {
    /// The escrow takes the payment of each job, so that its allowance is for many.
    pub(crate) const fn escrow(contracts: &ContractAddresses) -> Self {
        Self { contract: contracts.escrow, takes_often: true }
    }
}

impl ContractIntent for EscrowIntent {
    fn plan(&self, contracts: &ContractAddresses) -> Result<Plan, SettlementError> {
        let escrow = contracts.escrow();
        let with_gas = |call: Call, gas: u64| Plan::of(call, Gas::Fixed(gas));
        let estimated = |call: Call| Plan::of(call, Gas::Estimated { least: LEAST_GAS, most: MOST_GAS });
        Ok(match self {
            Self::PostJob { provider, request_hash, model, max_payment, delivery_deadline } => {
                let order = JobOrder {
                    provider: *provider,
                    request_hash: *request_hash,
                    model: model.clone(),
                    max_payment: *max_payment,
                    delivery_deadline: *delivery_deadline,
                };
                estimated(escrow.post_job(&order)).taken_by(Spender::escrow(contracts), *max_payment)
            }
            Self::AckJob { job } => with_gas(escrow.ack_job(*job), ACK_GAS),
            Self::ClaimJob { job, response_hash, paid } => {
                with_gas(escrow.claim_job(*job, *response_hash, *paid), CLAIM_GAS)
            }
            Self::RefuseJob { job } => {
                with_gas(escrow.claim_job(*job, SwarmRef::ZERO, Xbzz::ZERO), REFUSE_GAS)
            }
            Self::CancelJob { job } => estimated(escrow.cancel_job(*job)),
            Self::TimeOutJob { job } => estimated(escrow.timeout_job(*job)),
        })
    }

    fn is_harmless_twice(&self) -> bool {
        !matches!(self, Self::PostJob { .. })
    }

    fn deadline(&self) -> Option<UnixSeconds> {
        match self {
            Self::PostJob { delivery_deadline, .. } => Some(*delivery_deadline),
            _ => None,
        }
    }

    fn effect(&self, event: &ChainEvent) -> Option<Effect> {
        match event {
            ChainEvent::JobPosted { job, .. } | ChainEvent::JobAcked { job } => {
                Some(Effect { job: Some(*job), amount: None })
            }
            ChainEvent::JobClaimed { job, paid: amount, .. }
            | ChainEvent::JobCancelled { job, slash: amount }
            | ChainEvent::JobTimedOut { job, slash: amount } => {
                Some(Effect { job: Some(*job), amount: Some(*amount) })
            }
            _ => None,
        }
    }
}
