//! The books of a market: every PLUR accounted for, by the chain and by the roles' databases.
//!
//! Reads only. It needs no trust in whoever is looked at: what is in escrow must be what open jobs bind, what the
//! registry holds must be all stakes, what was burned must be what was slashed, and all together what was ever minted.

mod databases;
mod entry;
mod error;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use t4t_chain::contracts::ContractAddresses;
use t4t_chain::events::decode;
use t4t_chain::{BlockTag, ChainEvent, LogFilter, Rpc};
use t4t_types::{Address, JobId, Xbzz, keccak256};

pub use self::entry::JobEntry;
pub use self::error::LedgerError;

/// How many providers are read at once.
const PAGE: u64 = 50;

/// How often open books are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Readings that may meet a new block. A block comes in a second or more, and a reading takes some milliseconds.
const READINGS: usize = 50;

/// The money of a market at one block.
#[derive(Clone, Debug)]
pub struct Books {
    /// Every job that was ever posted.
    pub jobs: Vec<JobEntry>,
    /// What everyone holds who ever held something.
    pub balances: BTreeMap<Address, Xbzz>,
    /// What was ever made.
    pub minted: Xbzz,
    /// What all providers have at stake.
    pub stakes: Xbzz,
    /// What is not as it must be; nothing, if the books are exact.
    pub wrong: Vec<String>,
}

impl Books {
    /// What all hold together.
    pub fn held(&self) -> Xbzz {
        self.balances.values().copied().sum()
    }
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
    pub async fn closed(&self, limit: Duration) -> Result<Vec<JobEntry>, LedgerError> {
        let clock = self.rpc.clock();
        let ends = clock.unix_millis().saturating_add(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        loop {
            let end = self.read(true).await;
            match end {
                Ok(books) if books.wrong.is_empty() => return Ok(books.jobs),
                Ok(books) if clock.unix_millis() >= ends => return Err(self.broken(&books)),
                Err(error) if clock.unix_millis() >= ends => return Err(error),
                _ => clock.sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Checks what must hold at every moment. Jobs may be open.
    ///
    /// # Errors
    /// As [`Self::closed`].
    pub async fn check(&self) -> Result<(), LedgerError> {
        let books = self.read(false).await?;
        if books.wrong.is_empty() { Ok(()) } else { Err(self.broken(&books)) }
    }

    /// The money as it is, by the chain alone. Jobs may be open.
    ///
    /// # Errors
    /// The chain can't be read, or does not stand still for long enough.
    pub async fn books(&self) -> Result<Books, LedgerError> {
        for _ in 0..READINGS {
            let before = self.rpc.latest_block().await?.hash;
            let books = self.money().await;
            // A block in between moves money between two looks at it.
            if self.rpc.latest_block().await?.hash == before {
                return books;
            }
        }
        Err(LedgerError::Moving)
    }

    async fn read(&self, is_closed: bool) -> Result<Books, LedgerError> {
        let mut books = self.books().await?;
        let open = books.jobs.iter().filter(|job| is_closed && job.status.is_open());
        books.wrong.extend(open.map(|job| format!("job {} is still {:?}", job.job, job.status)));
        for (wallet, database) in &self.buyers {
            let wrong = databases::compare_buyer(database, *wallet, &books.jobs, is_closed).await?;
            books.wrong.extend(wrong);
        }
        for (wallet, database) in &self.sellers {
            let wrong = databases::compare_seller(database, *wallet, &books.jobs, is_closed).await?;
            books.wrong.extend(wrong);
        }
        Ok(books)
    }

    fn broken(&self, books: &Books) -> LedgerError {
        LedgerError::Wrong { wrong: books.wrong.clone(), table: self.table_of(books) }
    }

    async fn money(&self) -> Result<Books, LedgerError> {
        let jobs = self.jobs().await?;
        let balances = self.balances().await?;
        let (minted, stakes) = (self.minted().await?, self.stakes().await?);
        let mut books = Books { jobs, balances, minted, stakes, wrong: Vec::new() };
        books.wrong = self.wrong_money(&books);
        Ok(books)
    }

    fn wrong_money(&self, books: &Books) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut equal = |what: &str, got: Xbzz, expected: Xbzz| {
            if got != expected {
                wrong.push(format!("{what} is {} PLUR and must be {}", got.plur(), expected.plur()));
            }
        };
        let held = |address| books.balances.get(&address).copied().unwrap_or_default();
        equal("what all hold", books.held(), books.minted);
        let open = books.jobs.iter().filter(|job| job.status.is_open()).map(|job| job.max_payment).sum();
        equal("what is in escrow", held(self.contracts.escrow), open);
        equal("what the registry holds", held(self.contracts.registry), books.stakes);
        equal("what was burned", held(burn_address()), books.jobs.iter().map(|job| job.slashed).sum());
        let twice = books.jobs.iter().filter(|job| job.claims > 1);
        wrong.extend(twice.map(|job| format!("job {} was claimed {} times", job.job, job.claims)));
        wrong
    }

    /// Every job that was ever posted, as the chain has it now.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn jobs(&self) -> Result<Vec<JobEntry>, LedgerError> {
        let addresses = vec![self.contracts.escrow, self.contracts.registry];
        let logs = self.rpc.logs(&LogFilter { addresses, ..LogFilter::default() }).await?;
        let events: Vec<ChainEvent> = logs.iter().filter_map(|log| decode(log, &self.contracts)).collect();
        let posted = events.iter().filter_map(|event| match event {
            ChainEvent::JobPosted { job, .. } => Some(*job),
            _ => None,
        });
        let ids: Vec<JobId> = posted.collect();
        let terms = self.contracts.escrow().jobs(&self.rpc, &ids).await?;
        Ok(ids.into_iter().zip(terms).map(|(job, terms)| entry::entry(job, &terms, &events)).collect())
    }

    /// What everyone holds who ever held something.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn balances(&self) -> Result<BTreeMap<Address, Xbzz>, LedgerError> {
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

    async fn minted(&self) -> Result<Xbzz, LedgerError> {
        let call = &keccak256("totalSupply()")[..4];
        let answer = self.rpc.eth_call(self.contracts.token, call, BlockTag::Latest).await?;
        let tail = answer.get(16..32).and_then(|tail| tail.try_into().ok());
        Ok(Xbzz::from_plur(u128::from_be_bytes(tail.ok_or(LedgerError::NoSupply)?)))
    }

    async fn stakes(&self) -> Result<Xbzz, LedgerError> {
        let page = self.contracts.registry().list_providers(&self.rpc, 0, PAGE).await?;
        Ok(page.providers.iter().map(|provider| provider.stake).sum())
    }
}

/// Where stake is burned: `0x…dEaD`.
fn burn_address() -> Address {
    let mut bytes = [0; 20];
    bytes[18..].copy_from_slice(&[0xde, 0xad]);
    Address::new(bytes)
}
