//! Money on the development chain: who holds what, and what became of the jobs.

use anyhow::Context;
use serde::Serialize;
use t4t_chain::contracts::JobStatus;
use t4t_chain::{ContractAddresses, Rpc};
use t4t_ledger::{JobEntry, Ledger};
use t4t_types::{Address, JobId, ModelId, TokenPrices, Xbzz};

/// What the parties hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Balances {
    pub(super) client: Xbzz,
    pub(super) provider: Xbzz,
    pub(super) escrow: Xbzz,
}

/// A job as the chain has it in the end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SettledJob {
    pub(super) job: JobId,
    pub(super) status: JobStatus,
    #[serde(rename = "paid_plur")]
    pub(super) paid: Xbzz,
}

/// The client and the provider of this market, and what the chain says of their money.
#[derive(Clone, Debug)]
pub(super) struct Parties {
    pub(super) rpc: Rpc,
    pub(super) contracts: ContractAddresses,
    pub(super) client: Address,
    pub(super) provider: Address,
}

impl Parties {
    /// The books of the market, without databases.
    pub(super) fn books(&self) -> Ledger {
        Ledger::new(self.rpc.clone(), self.contracts)
    }

    pub(super) async fn balances(&self) -> anyhow::Result<Balances> {
        let held = self.books().balances().await?;
        let of = |owner: Address| held.get(&owner).copied().unwrap_or_default();
        Ok(Balances {
            client: of(self.client),
            provider: of(self.provider),
            escrow: of(self.contracts.escrow),
        })
    }

    /// What the provider asks for a model, by the registry.
    pub(super) async fn prices(&self, model: &ModelId) -> anyhow::Result<TokenPrices> {
        let offers = self.contracts.registry().offerings(&self.rpc, self.provider).await?;
        let offer = offers.into_iter().find(|offer| offer.model == model.as_str());
        offer.map(|offer| offer.prices).with_context(|| format!("the registry has no offer of {model}"))
    }

    /// The client's among these jobs, in the order of posting.
    pub(super) fn of_client(&self, jobs: Vec<JobEntry>) -> Vec<SettledJob> {
        let settled = |job: JobEntry| SettledJob { job: job.job, status: job.status, paid: job.paid };
        jobs.into_iter().filter(|job| job.client == self.client).map(settled).collect()
    }
}
