//! The chain as a model: the escrow's and the registry's rules in memory, the money of everybody, and who wants to be told.
//!
//! It knows no gateway and no provider: transactions come in, events go out.

use std::collections::{HashMap, HashSet};

use t4t_api::registry_watcher::{JobEvent, JobHappening, JobRole};
use t4t_api::settlement::{
    EscrowIntent, RegistryIntent, TransactionIntent, TransactionKey, TransactionOutcome,
};
use t4t_types::{
    Address, EncryptionKey, JobId, JobStatus, JobTerms, Offering, Overlay, TxHash, UnixSeconds, Xbzz,
    keccak256,
};

/// Seconds in which a job has to be acknowledged.
const ACK_WINDOW: u64 = 30;

/// The longest time to deliver, in seconds.
const MAX_DELIVERY: u64 = 24 * 3600;

/// The smallest payment, in PLUR.
const MIN_PAYMENT: Xbzz = Xbzz::from_plur(1_000_000_000_000);

/// What the registry wants at stake at least.
pub(crate) const MIN_STAKE: Xbzz = Xbzz::from_whole(100);

/// Gas and its price are nobody's business here.
const GAS: (u64, u128) = (100_000, 100_000_000_000_000);

/// A provider's entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) provider: Address,
    pub(crate) sealing_key: EncryptionKey,
    pub(crate) overlay: Overlay,
    pub(crate) metadata_uri: String,
    pub(crate) stake: Xbzz,
    pub(crate) offerings: Vec<Offering>,
    pub(crate) cap: u32,
    pub(crate) active: bool,
    pub(crate) live: bool,
    pub(crate) heartbeat: UnixSeconds,
    pub(crate) jobs: u32,
    pub(crate) successful: u32,
}

/// A job and the request that its client wrote down; the contract forgets where it lies once the job is claimed.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) terms: JobTerms,
    pub(crate) paid: Option<Xbzz>,
}

/// A transaction as its sender's settlement has it.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) from: Address,
    pub(crate) key: TransactionKey,
    pub(crate) intent: TransactionIntent,
    pub(crate) hash: TxHash,
    pub(crate) outcome: TransactionOutcome,
}

/// An event with the parties of its job.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) event: JobEvent,
    client: Address,
    provider: Address,
}

impl Told {
    pub(crate) fn concerns(&self, wallet: Address, role: JobRole) -> bool {
        wallet
            == match role {
                JobRole::Client => self.client,
                JobRole::Provider => self.provider,
            }
    }
}

/// All of the chain. A clone is what it was at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) block: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) jobs: HashMap<JobId, Job>,
    /// In the order in which they were posted.
    pub(crate) posted: Vec<JobId>,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) told: Vec<Told>,
    open: HashSet<JobId>,
    by_key: HashMap<(Address, TransactionKey), usize>,
    by_hash: HashMap<TxHash, usize>,
    balances: HashMap<Address, Xbzz>,
    minted: Xbzz,
    burned: Xbzz,
}

/// What a transaction did.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    job: Option<JobId>,
    amount: Option<Xbzz>,
}

type Refused = &'static str;

impl Chain {
    /// A chain that is some blocks long and holds nothing.
    pub(crate) fn new() -> Self {
        Self { block: 1000, ..Self::default() }
    }

    /// Gives a wallet money.
    pub(crate) fn mint(&mut self, wallet: Address, amount: Xbzz) {
        self.minted = self.minted.saturating_add(amount);
        self.credit(wallet, amount);
    }

    pub(crate) fn balance(&self, wallet: Address) -> Xbzz {
        self.balances.get(&wallet).copied().unwrap_or_default()
    }

    pub(crate) fn stake(&self, provider: Address) -> Xbzz {
        self.entry(provider).map_or(Xbzz::ZERO, |entry| entry.stake)
    }

    pub(crate) fn entry(&self, provider: Address) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.provider == provider)
    }

    pub(crate) fn entry_mut(&mut self, provider: Address) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.provider == provider)
    }

    /// What is in escrow.
    pub(crate) fn in_escrow(&self) -> Xbzz {
        self.open_jobs().map(|job| job.terms.max_payment).sum()
    }

    pub(crate) fn open_jobs(&self) -> impl Iterator<Item = &Job> {
        self.open.iter().filter_map(|id| self.jobs.get(id))
    }

    /// What was burned of all stakes.
    pub(crate) fn burned(&self) -> Xbzz {
        self.burned
    }

    /// Every PLUR is somewhere.
    pub(crate) fn check_money(&self) {
        let held: Xbzz = self.balances.values().copied().sum();
        let staked: Xbzz = self.entries.iter().map(|entry| entry.stake).sum();
        let all = held.saturating_add(staked).saturating_add(self.in_escrow()).saturating_add(self.burned);
        assert_eq!(all, self.minted, "held {held}, staked {staked}, in escrow {}", self.in_escrow());
    }

    pub(crate) fn transaction(&self, from: Address, key: &TransactionKey) -> Option<&Transaction> {
        self.by_key.get(&(from, key.clone())).map(|at| &self.transactions[*at])
    }

    /// Stores a transaction that waits for its block.
    pub(crate) fn enter(&mut self, from: Address, key: TransactionKey, intent: impl Into<TransactionIntent>) {
        let intent = intent.into();
        let hash = TxHash::new(keccak256(format!("{from}:{key}")));
        self.push(Transaction { from, key, intent, hash, outcome: TransactionOutcome::Pending });
    }

    fn push(&mut self, transaction: Transaction) {
        let at = self.transactions.len();
        self.by_key.insert((transaction.from, transaction.key.clone()), at);
        self.by_hash.insert(transaction.hash, at);
        self.transactions.push(transaction);
    }

    /// Forgets the newest transaction, which was not sent.
    pub(crate) fn forget_newest(&mut self) {
        if let Some(newest) = self.transactions.pop() {
            self.by_key.remove(&(newest.from, newest.key));
            self.by_hash.remove(&newest.hash);
        }
    }

    /// Puts a transaction into a block; `revert` says that the contract refuses it.
    pub(crate) fn mine(&mut self, hash: TxHash, now: UnixSeconds, revert: Option<&str>) -> Vec<Told> {
        let Some(at) = self.by_hash.get(&hash).copied() else { return Vec::new() };
        if self.transactions[at].outcome != TransactionOutcome::Pending {
            return Vec::new();
        }
        self.block += 1;
        let (from, intent) = (self.transactions[at].from, self.transactions[at].intent.clone());
        let before = self.told.len();
        let done = match revert {
            Some(reason) => Err(reason.to_owned()),
            None => self.apply(from, hash, &intent, now).map_err(str::to_owned),
        };
        self.transactions[at].outcome = match done {
            Ok(Done { job, amount }) => {
                TransactionOutcome::Mined { block: self.block, gas_used: GAS.0, fee_wei: GAS.1, job, amount }
            }
            Err(reason) => TransactionOutcome::Reverted { block: self.block, reason },
        };
        self.told[before..].to_vec()
    }

    fn credit(&mut self, wallet: Address, amount: Xbzz) {
        let balance = self.balances.entry(wallet).or_default();
        *balance = balance.checked_add(amount).unwrap();
    }

    fn debit(&mut self, wallet: Address, amount: Xbzz) -> Result<(), Refused> {
        let left = self.balance(wallet).checked_sub(amount).ok_or("TransferFailed")?;
        self.balances.insert(wallet, left);
        Ok(())
    }

    fn apply(
        &mut self,
        from: Address,
        transaction: TxHash,
        intent: &TransactionIntent,
        now: UnixSeconds,
    ) -> Result<Done, Refused> {
        use EscrowIntent as Intent;
        let intent = match intent {
            TransactionIntent::Escrow(intent) => intent,
            TransactionIntent::Registry(intent) => {
                return self.change_entry(from, intent, now).map(|()| Done::default());
            }
        };
        match intent {
            Intent::PostJob { provider, request_hash, model, max_payment, delivery_deadline } => {
                // Ours; on the live contract any payment is taken.
                if *max_payment < MIN_PAYMENT {
                    return Err("PaymentOutOfBounds");
                }
                let terms = JobTerms {
                    client: from,
                    provider: *provider,
                    request_hash: *request_hash,
                    model: model.to_string(),
                    max_payment: *max_payment,
                    delivery_deadline: *delivery_deadline,
                    ..JobTerms::default()
                };
                self.post(terms, transaction, now)
            }
            Intent::AckJob { job } => self.ack(from, *job, transaction, now),
            Intent::ClaimJob { job, response_hash, paid } => {
                self.claim((from, *job), *response_hash, *paid, transaction, now)
            }
            Intent::RefuseJob { job } => {
                self.claim((from, *job), t4t_types::SwarmRef::ZERO, Xbzz::ZERO, transaction, now)
            }
            Intent::CancelJob { job } => self.take_back((from, *job), JobStatus::Pending, transaction, now),
            Intent::TimeOutJob { job } => self.take_back((from, *job), JobStatus::Acked, transaction, now),
        }
    }

    /// Posts a job.
    fn post(&mut self, terms: JobTerms, transaction: TxHash, now: UnixSeconds) -> Result<Done, Refused> {
        let entry = self.entry(terms.provider).filter(|entry| entry.live).ok_or("ProviderNotLive")?;
        let (earliest, latest) = (now.plus(ACK_WINDOW), now.plus(MAX_DELIVERY));
        if terms.delivery_deadline <= earliest || terms.delivery_deadline > latest {
            return Err("BadDeadline");
        }
        let of_provider = self.open_jobs().filter(|job| job.terms.provider == terms.provider);
        let bound: Xbzz = of_provider.map(|job| job.terms.max_payment).sum();
        let reserve =
            bound.saturating_add(terms.max_payment).checked_mul(3).ok_or("InsufficientStakeForJob")?;
        if reserve > entry.stake {
            return Err("InsufficientStakeForJob");
        }
        self.debit(terms.client, terms.max_payment)?;
        // Of the client and a count, as the contract has it: after a reorganisation an id may be another request's.
        let job = JobId::new(keccak256(format!("{}:{}", terms.client, self.posted.len())));
        let terms = JobTerms {
            posted_at: now,
            ack_deadline: now.plus(ACK_WINDOW),
            status: JobStatus::Pending,
            ..terms
        };
        let (client, provider) = (terms.client, terms.provider);
        self.jobs.insert(job, Job { terms, paid: None });
        self.posted.push(job);
        self.open.insert(job);
        self.entry_mut(provider).unwrap().jobs += 1;
        self.tell(job, JobHappening::Posted { client, provider }, transaction);
        Ok(Done { job: Some(job), amount: None })
    }

    fn ack(&mut self, from: Address, id: JobId, tx: TxHash, now: UnixSeconds) -> Result<Done, Refused> {
        let job = self.jobs.get_mut(&id).filter(|job| job.terms.provider == from).ok_or("NotProvider")?;
        if job.terms.status != JobStatus::Pending {
            return Err("BadStatus");
        }
        if now > job.terms.ack_deadline {
            return Err("DeadlinePassed");
        }
        (job.terms.status, job.terms.acked_at) = (JobStatus::Acked, now);
        self.tell(id, JobHappening::Acked, tx);
        Ok(Done { job: Some(id), amount: None })
    }

    fn claim(
        &mut self,
        (from, id): (Address, JobId),
        response_hash: t4t_types::SwarmRef,
        paid: Xbzz,
        transaction: TxHash,
        now: UnixSeconds,
    ) -> Result<Done, Refused> {
        let job = self.jobs.get_mut(&id).filter(|job| job.terms.provider == from).ok_or("NotProvider")?;
        if !job.terms.status.is_open() {
            return Err("BadStatus");
        }
        let rest = job.terms.max_payment.checked_sub(paid).ok_or("PaymentTooHigh")?;
        if now > job.terms.delivery_deadline {
            return Err("DeadlinePassed");
        }
        // The contract keeps one hash: the request's until the claim, the answer's from then on.
        job.terms.request_hash = t4t_types::SwarmRef::ZERO;
        (job.terms.status, job.terms.response_hash, job.paid) =
            (JobStatus::Claimed, response_hash, Some(paid));
        let client = job.terms.client;
        self.open.remove(&id);
        self.credit(from, paid);
        self.credit(client, rest);
        self.entry_mut(from).unwrap().successful += u32::from(!paid.is_zero());
        self.tell(id, JobHappening::Claimed { response_hash, paid }, transaction);
        Ok(Done { job: Some(id), amount: Some(paid) })
    }

    fn take_back(
        &mut self,
        (from, id): (Address, JobId),
        waiting: JobStatus,
        transaction: TxHash,
        now: UnixSeconds,
    ) -> Result<Done, Refused> {
        let job = self.jobs.get_mut(&id).filter(|job| job.terms.client == from).ok_or("NotClient")?;
        if job.terms.status != waiting {
            return Err("BadStatus");
        }
        let is_cancel = waiting == JobStatus::Pending;
        let deadline = if is_cancel { job.terms.ack_deadline } else { job.terms.delivery_deadline };
        if now <= deadline {
            return Err("DeadlineNotPassed");
        }
        let (provider, max_payment) = (job.terms.provider, job.terms.max_payment);
        job.terms.status = if is_cancel { JobStatus::Cancelled } else { JobStatus::TimedOut };
        let slash = max_payment.checked_mul(if is_cancel { 2 } else { 3 }).unwrap();
        self.open.remove(&id);
        self.credit(from, max_payment);
        let entry = self.entry_mut(provider).unwrap();
        entry.stake = entry.stake.checked_sub(slash).unwrap();
        self.burned = self.burned.saturating_add(slash);
        let what = match is_cancel {
            true => JobHappening::Cancelled { slash },
            false => JobHappening::TimedOut { slash },
        };
        self.tell(id, what, transaction);
        Ok(Done { job: Some(id), amount: Some(slash) })
    }

    fn change_entry(
        &mut self,
        from: Address,
        intent: &RegistryIntent,
        now: UnixSeconds,
    ) -> Result<(), Refused> {
        use RegistryIntent as Intent;
        if let Intent::Register { sealing_key, overlay, metadata_uri, stake } = intent {
            if self.entry(from).is_some() {
                return Err("AlreadyRegistered");
            }
            if *stake < MIN_STAKE {
                return Err("StakeTooLow");
            }
            self.debit(from, *stake)?;
            self.entries.push(Entry {
                provider: from,
                sealing_key: *sealing_key,
                overlay: *overlay,
                metadata_uri: metadata_uri.clone(),
                stake: *stake,
                offerings: Vec::new(),
                cap: 0,
                active: true,
                live: true,
                heartbeat: now,
                jobs: 0,
                successful: 0,
            });
            return Ok(());
        }
        if let Intent::AddStake { amount } = intent {
            self.debit(from, *amount)?;
        }
        let entry = self.entry_mut(from).ok_or("NotRegistered")?;
        match intent {
            Intent::UpdateOfferings { offerings } => entry.offerings = offerings.clone(),
            Intent::Heartbeat => entry.heartbeat = now,
            Intent::SetMaxConcurrentJobs { cap } => entry.cap = *cap,
            Intent::AddStake { amount } => entry.stake = entry.stake.saturating_add(*amount),
            Intent::Deactivate => (entry.active, entry.live) = (false, false),
            _ => return Err("NotModelled"),
        }
        Ok(())
    }

    fn tell(&mut self, job: JobId, what: JobHappening, transaction: TxHash) {
        let terms = &self.jobs[&job].terms;
        let (client, provider) = (terms.client, terms.provider);
        let event = JobEvent { job, what, block: self.block, transaction };
        self.told.push(Told { event, client, provider });
    }

    /// Posts a job with whatever a client can write that is no model's name. Returns its id and what is to be told.
    pub(crate) fn post_raw(&mut self, terms: JobTerms, now: UnixSeconds) -> (JobId, Vec<Told>) {
        self.block += 1;
        let before = self.told.len();
        let transaction = TxHash::new(keccak256(format!("raw:{}", self.posted.len())));
        let done = self.post(terms, transaction, now).unwrap();
        (done.job.unwrap(), self.told[before..].to_vec())
    }

    /// Goes back to what it was at `then`: what was mined since waits for its block again. Returns what is to be told.
    pub(crate) fn reorganise_to(&mut self, then: Self) -> Vec<Told> {
        let now = std::mem::replace(self, then);
        for later in &now.transactions {
            if !self.by_hash.contains_key(&later.hash) {
                self.push(Transaction { outcome: TransactionOutcome::Pending, ..later.clone() });
            }
        }
        // The new blocks are as many, and one more.
        self.block = now.block + 1;
        let mut gone: Vec<Told> = Vec::new();
        for told in now.told.into_iter().skip(self.told.len()) {
            if gone.iter().all(|known| known.event.job != told.event.job) {
                let event = JobEvent { what: JobHappening::Reorganised, ..told.event };
                gone.push(Told { event, ..told });
            }
        }
        gone
    }
}
