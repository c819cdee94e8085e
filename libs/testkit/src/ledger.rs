//! The books after a scenario: every PLUR accounted for, and every database in line with the chain.

mod databases;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use t4t_chain::contracts::{ContractAddresses, JobStatus, JobTerms};
use t4t_chain::events::decode;
use t4t_chain::{BlockTag, ChainEvent, LogFilter, Rpc};
use t4t_types::{Address, JobId, SwarmRef, Xbzz, keccak256};

use crate::eventually;

/// How many providers are read at once.
const PAGE: u64 = 50;

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

/// The money of one market.
#[derive(Clone, Debug)]
pub struct Ledger {
    rpc: Rpc,
    contracts: ContractAddresses,
    buyers: Vec<(Address, PathBuf)>,
    sellers: Vec<(Address, PathBuf)>,
}

impl Ledger {
    /// The books of a market, without databases.
    pub fn new(rpc: Rpc, contracts: ContractAddresses) -> Self {
        Self { rpc, contracts, buyers: Vec::new(), sellers: Vec::new() }
    }

    /// Compares a gateway's database as well.
    #[must_use]
    pub fn buyer(mut self, wallet: Address, database: &Path) -> Self {
        self.buyers.push((wallet, database.to_owned()));
        self
    }

    /// Compares a provider's database as well.
    #[must_use]
    pub fn seller(mut self, wallet: Address, database: &Path) -> Self {
        self.sellers.push((wallet, database.to_owned()));
        self
    }

    /// Waits until every job is over on the chain and in the databases, then checks everything.
    ///
    /// # Errors
    /// Something is not as it must be; the error holds all that is wrong, and the jobs and balances as a table.
    pub async fn closed(&self, limit: Duration) -> anyhow::Result<Vec<JobEntry>> {
        let mut wrong = Vec::new();
        let closing = eventually(limit, "the books to be closed", async || {
            wrong = self.wrong(true).await.unwrap_or_else(|error| vec![format!("{error:#}")]);
            wrong.is_empty().then_some(())
        });
        match closing.await {
            Ok(()) => self.jobs().await,
            Err(_) => Err(self.broken(&wrong).await),
        }
    }

    /// Checks what must hold at every moment. Jobs may be open.
    ///
    /// # Errors
    /// As [`Self::closed`].
    pub async fn check(&self) -> anyhow::Result<()> {
        let wrong = self.wrong(false).await?;
        if wrong.is_empty() { Ok(()) } else { Err(self.broken(&wrong).await) }
    }

    async fn broken(&self, wrong: &[String]) -> anyhow::Error {
        let table = self.table().await.unwrap_or_else(|error| format!("{error:#}"));
        anyhow::anyhow!("the books are wrong:\n  {}\n{table}", wrong.join("\n  "))
    }

    async fn wrong(&self, is_closed: bool) -> anyhow::Result<Vec<String>> {
        let jobs = self.jobs().await?;
        let mut wrong = self.wrong_money(&jobs).await?;
        for job in &jobs {
            if job.claims > 1 {
                wrong.push(format!("job {} was claimed {} times", job.job, job.claims));
            }
            if is_closed && job.status.is_open() {
                wrong.push(format!("job {} is still {:?}", job.job, job.status));
            }
        }
        for (wallet, database) in &self.buyers {
            wrong.extend(databases::compare_buyer(database, *wallet, &jobs, is_closed).await?);
        }
        for (wallet, database) in &self.sellers {
            wrong.extend(databases::compare_seller(database, *wallet, &jobs, is_closed).await?);
        }
        Ok(wrong)
    }

    async fn wrong_money(&self, jobs: &[JobEntry]) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut equal = |what: &str, got: Xbzz, expected: Xbzz| {
            if got != expected {
                wrong.push(format!("{what} is {} PLUR and must be {}", got.plur(), expected.plur()));
            }
        };
        let balances = self.balances().await?;
        let held = |address| balances.get(&address).copied().unwrap_or_default();
        equal("what all hold", balances.values().copied().sum(), self.minted().await?);
        let open = jobs.iter().filter(|job| job.status.is_open()).map(|job| job.max_payment).sum();
        equal("what is in escrow", held(self.contracts.escrow), open);
        equal("what the registry holds", held(self.contracts.registry), self.stakes().await?);
        equal("what was burned", held(burn_address()), jobs.iter().map(|job| job.slashed).sum());
        Ok(wrong)
    }

    /// Every job that was ever posted, as the chain has it now.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn jobs(&self) -> anyhow::Result<Vec<JobEntry>> {
        let addresses = vec![self.contracts.escrow, self.contracts.registry];
        let logs = self.rpc.logs(&LogFilter { addresses, ..LogFilter::default() }).await?;
        let events: Vec<ChainEvent> = logs.iter().filter_map(|log| decode(log, &self.contracts)).collect();
        let posted = events.iter().filter_map(|event| match event {
            ChainEvent::JobPosted { job, .. } => Some(*job),
            _ => None,
        });
        let ids: Vec<JobId> = posted.collect();
        let terms = self.contracts.escrow().jobs(&self.rpc, &ids).await?;
        Ok(ids.into_iter().zip(terms).map(|(job, terms)| entry(job, &terms, &events)).collect())
    }

    /// What everyone holds who ever held something.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn balances(&self) -> anyhow::Result<BTreeMap<Address, Xbzz>> {
        let transfer = keccak256("Transfer(address,address,uint256)");
        let filter = LogFilter {
            addresses: vec![self.contracts.token],
            topics: vec![vec![transfer]],
            ..LogFilter::default()
        };
        let logs = self.rpc.logs(&filter).await?;
        let address = |topic: &[u8; 32]| topic[12..].try_into().map(Address::new).ok();
        let holders: BTreeSet<Address> =
            logs.iter().flat_map(|log| log.topics.iter().skip(1).filter_map(address)).collect();
        let mut balances = BTreeMap::new();
        for holder in holders {
            balances.insert(holder, self.contracts.token().balance_of(&self.rpc, holder).await?);
        }
        Ok(balances)
    }

    async fn minted(&self) -> anyhow::Result<Xbzz> {
        let call = &keccak256("totalSupply()")[..4];
        let answer = self.rpc.eth_call(self.contracts.token, call, BlockTag::Latest).await?;
        let tail = answer.get(16..32).context("the token does not tell its supply")?;
        Ok(Xbzz::from_plur(u128::from_be_bytes(tail.try_into()?)))
    }

    async fn stakes(&self) -> anyhow::Result<Xbzz> {
        let page = self.contracts.registry().list_providers(&self.rpc, 0, PAGE).await?;
        Ok(page.providers.iter().map(|provider| provider.stake).sum())
    }
}

fn entry(job: JobId, terms: &JobTerms, events: &[ChainEvent]) -> JobEntry {
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

/// Where stake is burned: `0x…dEaD`.
fn burn_address() -> Address {
    let mut bytes = [0; 20];
    bytes[18..].copy_from_slice(&[0xde, 0xad]);
    Address::new(bytes)
}
