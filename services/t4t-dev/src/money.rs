//! Money on the development chain: who holds what, and what became of the jobs.

use anyhow::Context;
use serde::Serialize;
use t4t_chain::contracts::JobStatus;
use t4t_chain::events::decode;
use t4t_chain::{ChainEvent, ContractAddresses, LogFilter, Rpc};
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

/// Reads the money of one client and one provider.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) rpc: Rpc,
    pub(super) contracts: ContractAddresses,
    pub(super) client: Address,
    pub(super) provider: Address,
}

impl Ledger {
    pub(super) async fn balances(&self) -> anyhow::Result<Balances> {
        let token = self.contracts.token();
        let of = |owner| async move {
            token.balance_of(&self.rpc, owner).await.context("a balance can't be read")
        };
        Ok(Balances {
            client: of(self.client).await?,
            provider: of(self.provider).await?,
            escrow: of(self.contracts.escrow).await?,
        })
    }

    /// What the provider asks for a model, by the registry.
    pub(super) async fn prices(&self, model: &ModelId) -> anyhow::Result<TokenPrices> {
        let offers = self.contracts.registry().offerings(&self.rpc, self.provider).await?;
        let offer = offers.into_iter().find(|offer| offer.model == model.as_str());
        offer.map(|offer| offer.prices).with_context(|| format!("the registry has no offer of {model}"))
    }

    /// Every job of the client, settled or not, in the order of posting.
    pub(super) async fn jobs(&self) -> anyhow::Result<Vec<SettledJob>> {
        let escrow = self.contracts.escrow();
        let filter = LogFilter { addresses: vec![escrow.address], ..LogFilter::default() };
        let logs = self.rpc.logs(&filter).await.context("the escrow's events can't be read")?;
        let events: Vec<ChainEvent> = logs.iter().filter_map(|log| decode(log, &self.contracts)).collect();
        let posted = |event: &ChainEvent| match event {
            ChainEvent::JobPosted { job, client, .. } if *client == self.client => Some(*job),
            _ => None,
        };
        let ids: Vec<JobId> = events.iter().filter_map(posted).collect();
        let terms = escrow.jobs(&self.rpc, &ids).await.context("the jobs can't be read")?;
        let settled = |(job, terms): (JobId, t4t_chain::contracts::JobTerms)| SettledJob {
            job,
            status: terms.status,
            paid: paid(&events, job),
        };
        Ok(ids.into_iter().zip(terms).map(settled).collect())
    }
}

fn paid(events: &[ChainEvent], of: JobId) -> Xbzz {
    let claims = events.iter().filter_map(|event| match event {
        ChainEvent::JobClaimed { job, paid, .. } if *job == of => Some(*paid),
        _ => None,
    });
    claims.sum()
}
