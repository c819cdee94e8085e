//! Looks at the chain: events first, then whatever they make it necessary to read.
//!
//! One look is one request while nothing happens. Events about jobs are kept and told; those about providers only say
//! whose entry has to be read again, and the entry is read as of the very block up to which events were taken, so that
//! nothing is counted twice. What failed is done at the next look.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use t4t_chain::{BlockTag, ChainError, ChainEvent, LogScanner, LoggedEvent, ScanPass};
use t4t_types::Address;

use crate::config::millis;
use crate::core::{Core, SyncState};
use crate::directory::{Directory, SeenHead};
use crate::error::SyncError;
use crate::journal::{self, Parties};
use crate::keys::Confirming;
use crate::loading::{Load, Loaded, Reread};
use crate::pace::Pace;
use crate::provider::Provider;
use crate::reading;
use crate::rota::Rota;
use crate::scanning;

/// Providers that are read in one look at most; the rest follows in the next ones.
pub(crate) const BATCH: usize = 100;

/// Blocks without events after which the cursor is moved all the same.
const QUIET_BLOCKS: u64 = 10;

/// Time between two times of forgetting old events.
const EXPIRY_INTERVAL_MS: u64 = 600_000;

/// The one that looks. Whoever holds it does so alone.
#[derive(Debug)]
pub(crate) struct Sync {
    core: Arc<Core>,
    pub(crate) pace: Pace,
    scanner: Option<LogScanner>,
    /// Found and not yet kept.
    found: Option<ScanPass>,
    /// Wallets whose entries have to be read at once.
    dirty: BTreeSet<Address>,
    /// Wallets whose entries have to be read now and then.
    stale: Rota,
    stale_due_ms: u64,
    load: Option<Load>,
    reread: Reread,
    confirming: Confirming,
    cursor: u64,
    expiry_due_ms: u64,
}

impl Sync {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let pace = Pace::new(millis(core.config.poll_idle), millis(core.config.poll_close));
        Self {
            core,
            pace,
            scanner: None,
            found: None,
            dirty: BTreeSet::new(),
            stale: Rota::default(),
            stale_due_ms: 0,
            load: None,
            reread: Reread::default(),
            confirming: Confirming::default(),
            cursor: 0,
            expiry_due_ms: 0,
        }
    }

    /// Looks until there is nothing more to find out, and says on the board how it went.
    pub(crate) async fn look(&mut self) -> Result<(), SyncError> {
        let looked = self.catch_up().await;
        let ready = self.core.published();
        let state = match (&looked, &ready) {
            (Ok(()), Some(directory)) => SyncState::Synced {
                block: directory.head().block,
                unconfirmed: self.core.unconfirmed.load(Ordering::Relaxed),
            },
            (Ok(()), None) => SyncState::Loading,
            (Err(error), ready) => {
                SyncState::Failing { ready: ready.is_some(), reason: crate::error::chain_of(error) }
            }
        };
        self.core.state.send_if_modified(|last| {
            let is_new = *last != state;
            *last = state;
            is_new
        });
        looked
    }

    async fn catch_up(&mut self) -> Result<(), SyncError> {
        loop {
            let pass = self.scan().await?;
            let is_caught_up = pass.is_caught_up();
            if !is_caught_up {
                let behind = pass.head.number - pass.scanned_to;
                tracing::info!(block = pass.scanned_to, behind, "reading the events of the past");
                continue;
            }
            self.read_entries(&pass).await?;
            if self.dirty.is_empty() {
                if let Some(directory) = self.core.published() {
                    self.confirming.step(&self.core, &directory).await?;
                }
                return self.forget_old().await;
            }
        }
    }

    /// Takes the next events, keeps and tells them, and moves the directory's head.
    async fn scan(&mut self) -> Result<ScanPass, SyncError> {
        let pass = match self.found.take() {
            Some(pass) => pass,
            None => self.poll().await?,
        };
        let moves_cursor =
            !pass.is_caught_up() || pass.scanned_to >= self.cursor.saturating_add(QUIET_BLOCKS);
        // The scanner has gone on, so what it found must not be lost if this fails or is given up.
        let pass = &*self.found.insert(pass);
        let parties = journal::record(&self.core, pass, moves_cursor).await?;
        let pass = pass.clone();
        self.found = None;
        if moves_cursor {
            self.cursor = pass.scanned_to;
        }
        self.update(&pass, &parties);
        Ok(pass)
    }

    async fn poll(&mut self) -> Result<ScanPass, SyncError> {
        let scanner = match &mut self.scanner {
            Some(scanner) => scanner,
            None => self.scanner.insert(scanning::open(&self.core).await?),
        };
        let pass = scanner.poll().await?;
        self.pace.saw(pass.head.number, pass.head.timestamp, self.core.now_ms());
        Ok(pass)
    }

    /// Brings the directory up to date with a look's events, without reading anything.
    fn update(&mut self, pass: &ScanPass, parties: &Parties) {
        let head = self.seen(pass);
        self.core.set_head(head);
        let Some(published) = self.core.published() else { return };
        if head == *published.head() && pass.added.is_empty() && pass.removed.is_empty() {
            return;
        }
        let mut directory = Directory::clone(&published);
        for event in &pass.removed {
            self.doubt(event, parties);
        }
        for event in &pass.added {
            self.apply(&mut directory, event, parties);
        }
        directory.set_head(head);
        self.core.publish(directory);
    }

    fn seen(&self, pass: &ScanPass) -> SeenHead {
        let known = self.core.head();
        // Time does not run backwards: a later block with an earlier time is a lie, by which a provider would wait too
        // long before it refuses.
        let least = known.filter(|known| pass.head.number >= known.block).map(|known| known.timestamp);
        let timestamp = least.map_or(pass.head.timestamp, |least| pass.head.timestamp.max(least));
        let seen = SeenHead { block: pass.head.number, timestamp, seen_at_ms: self.core.now_ms() };
        // The age of a head is counted from when it was first seen.
        match known.filter(|known| known.block == seen.block && known.timestamp == seen.timestamp) {
            Some(known) => known,
            None => seen,
        }
    }

    /// An event was taken back: whatever it changed is read again.
    fn doubt(&mut self, event: &LoggedEvent, parties: &Parties) {
        self.dirty.extend(event.event.owner());
        let job = event.event.job();
        self.dirty.extend(job.and_then(|job| parties.get(&job)).map(|(_, provider)| *provider));
    }

    fn apply(&mut self, directory: &mut Directory, event: &LoggedEvent, parties: &Parties) {
        let provider_of = |job| parties.get(&job).map(|(_, provider)| *provider);
        match &event.event {
            ChainEvent::JobPosted { provider, .. } => self.count(directory, event, Some(*provider), 1),
            ChainEvent::JobClaimed { job, .. }
            | ChainEvent::JobCancelled { job, .. }
            | ChainEvent::JobTimedOut { job, .. } => self.count(directory, event, provider_of(*job), -1),
            ChainEvent::Heartbeat { owner, at } => match directory.provider_mut(*owner) {
                // Nothing else has changed, and every provider sends one every few minutes.
                Some(provider) => provider.last_heartbeat = provider.last_heartbeat.max(*at),
                None => drop(self.dirty.insert(*owner)),
            },
            other => self.dirty.extend(other.owner()),
        }
    }

    /// Counts an opened or closed job, unless the provider was read after it.
    fn count(
        &mut self,
        directory: &mut Directory,
        event: &LoggedEvent,
        provider: Option<Address>,
        change: i32,
    ) {
        let Some(address) = provider else { return };
        let Some(provider) = directory.provider_mut(address) else { return };
        if event.block_number > provider.read_at {
            provider.open_jobs = provider.open_jobs.saturating_add_signed(change);
        }
        // The registry counts in its own way what became of the job.
        self.stale.add(address);
    }

    /// Reads what events or time made it necessary to read.
    async fn read_entries(&mut self, pass: &ScanPass) -> Result<(), SyncError> {
        let Some(published) = self.core.published() else {
            return self.load(pass).await;
        };
        self.reread.step(&self.core, &published, &mut self.stale).await?;
        self.refresh();
        if self.dirty.is_empty() {
            return Ok(());
        }
        let owners: Vec<Address> = self.dirty.iter().take(BATCH).copied().collect();
        let registry = self.core.config.contracts.registry();
        let at = BlockTag::Number(pass.head.number);
        let entries = reading::entries(&self.core.rpc, registry, &owners, at).await?;
        self.take(entries, pass.head.number);
        Ok(())
    }

    /// Moves the next of those that are not urgent among the urgent ones, if it is time.
    fn refresh(&mut self) {
        let now = self.core.now_ms();
        if now < self.stale_due_ms || self.stale.is_empty() {
            return;
        }
        self.stale_due_ms = now.saturating_add(millis(self.core.config.refresh_interval));
        self.dirty.extend(self.stale.next(BATCH));
    }

    fn take(&mut self, entries: reading::Entries, read_at: u64) {
        let Some(published) = self.core.published() else { return };
        let mut read = Vec::with_capacity(entries.len());
        for (owner, entry) in entries {
            self.dirty.remove(&owner);
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.put_off(owner, &error);
                    continue;
                }
            };
            if !entry.record.is_registered() {
                read.push((owner, None));
                continue;
            }
            let offers_lost = reading::offers_lost(&entry);
            let mut provider = Provider::from_entry(entry, read_at);
            if offers_lost {
                self.stale.add(owner);
                let known = published.provider(owner);
                provider.offerings = known.map(|known| Arc::clone(&known.offerings)).unwrap_or_default();
            }
            read.push((owner, Some(provider)));
        }
        let mut directory = Directory::clone(&published);
        directory.apply(read);
        self.core.publish(directory);
    }

    /// A provider that can't be read is tried again later, with those that are not urgent.
    fn put_off(&mut self, owner: Address, error: &ChainError) {
        tracing::debug!(provider = %owner, %error, "a provider can't be read now");
        self.stale.add(owner);
    }

    /// Reads the whole registry for the first time. What was read stays read if it breaks off.
    async fn load(&mut self, pass: &ScanPass) -> Result<(), SyncError> {
        let load = self.load.get_or_insert_with(|| Load::new(&self.core.config));
        let loaded = load.run(&self.core, pass.head.number).await?;
        let Loaded { rules, providers, doubtful } = loaded;
        self.load = None;
        self.stale.extend(doubtful);
        let head = self.seen(pass);
        tracing::info!(providers = providers.len(), block = head.block, "the registry is read");
        self.core.publish(Directory::new(rules, head, providers));
        self.reread.finished(self.core.now_ms(), &self.core.config);
        Ok(())
    }

    async fn forget_old(&mut self) -> Result<(), SyncError> {
        let now = self.core.now_ms();
        if now < self.expiry_due_ms {
            return Ok(());
        }
        self.expiry_due_ms = now.saturating_add(EXPIRY_INTERVAL_MS);
        let before = now.saturating_sub(millis(self.core.config.event_retention));
        let newest = self.core.store.job_logs_expire(before, self.core.config.event_limit).await?;
        self.core.forgotten.fetch_max(newest, Ordering::Relaxed);
        Ok(())
    }
}
