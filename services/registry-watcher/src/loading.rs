//! Reads the whole registry: once before questions are answered, and again from time to time.

use std::collections::HashSet;

use t4t_chain::{BlockTag, ChainError};
use t4t_types::{Address, Xbzz};

use crate::config::{WatcherConfig, millis};
use crate::core::Core;
use crate::directory::Directory;
use crate::provider::{Provider, Rules};
use crate::reading::{self, Listing, is_node};
use crate::rota::Rota;
use crate::sync::BATCH;

/// The first reading of the registry.
#[derive(Debug)]
pub(crate) struct Load {
    listing: Listing,
    is_listed: bool,
    owners: Vec<Address>,
    found: Loaded,
}

/// The registry as it was read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) rules: Rules,
    pub(crate) providers: Vec<Provider>,
    /// Wallets that have to be read again.
    pub(crate) doubtful: Vec<Address>,
}

impl Load {
    pub(crate) fn new(config: &WatcherConfig) -> Self {
        let listing = Listing::new(config.contracts.registry(), config.list_page);
        Self { listing, is_listed: false, owners: Vec::new(), found: Loaded::default() }
    }

    /// Reads on until everything is read as of `block`. After an error it goes on where it was; what was read before is
    /// older then and has to be read again.
    pub(crate) async fn run(&mut self, core: &Core, block: u64) -> Result<Loaded, ChainError> {
        let older = self.found.providers.iter().map(|provider| provider.address);
        self.found.doubtful = older.collect();
        self.found.rules = rules(core).await?;
        while !self.is_listed {
            self.is_listed = self.listing.read_on(&core.rpc).await?;
            tracing::info!(providers = self.listing.count(), "reading the registry's list");
        }
        if self.owners.is_empty() {
            let empty = Listing::new(core.config.contracts.registry(), core.config.list_page);
            let listed = std::mem::replace(&mut self.listing, empty).into_found();
            let mut known = HashSet::with_capacity(listed.len());
            let owners = listed.iter().map(|record| record.owner);
            self.owners = owners.filter(|owner| known.insert(*owner)).collect();
            // They are taken from the end.
            self.owners.reverse();
        }
        while !self.owners.is_empty() {
            self.read_batch(core, block).await?;
        }
        Ok(std::mem::take(&mut self.found))
    }

    async fn read_batch(&mut self, core: &Core, block: u64) -> Result<(), ChainError> {
        let rest = self.owners.len().saturating_sub(BATCH);
        let batch: Vec<Address> = self.owners[rest..].iter().rev().copied().collect();
        let registry = core.config.contracts.registry();
        let entries = reading::entries(&core.rpc, registry, &batch, BlockTag::Number(block)).await?;
        if let Some(error) =
            entries.iter().find_map(|(_, entry)| entry.as_ref().err().filter(|error| is_node(error)))
        {
            return Err(error.clone());
        }
        self.owners.truncate(rest);
        for (owner, entry) in entries {
            match entry {
                Ok(entry) if entry.record.is_registered() => {
                    let doubtful = reading::offers_lost(&entry);
                    self.found.doubtful.extend(doubtful.then_some(owner));
                    self.found.providers.push(Provider::from_entry(entry, block));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(provider = %owner, %error, "a provider can't be read and is left out")
                }
            }
        }
        if rest > 0 {
            tracing::info!(read = self.found.providers.len(), left = rest, "reading what providers offer");
        }
        Ok(())
    }
}

/// What makes a provider live, as the contracts at hand have it.
async fn rules(core: &Core) -> Result<Rules, ChainError> {
    let registry = core.config.contracts.registry();
    let heartbeat_ttl = registry.heartbeat_ttl(&core.rpc).await?;
    // Only our registry demands the minimum for liveness; on a version-1 registry any stake backs a small job.
    let is_ours = registry.backing(&core.rpc, Address::ZERO).await?.is_some();
    let min_stake = if is_ours { registry.min_stake(&core.rpc).await? } else { Xbzz::from_plur(1) };
    Ok(Rules { heartbeat_ttl, min_stake })
}

/// The readings that follow, one page a look, so that none of them holds up events.
#[derive(Debug, Default)]
pub(crate) struct Reread {
    due_ms: u64,
    listing: Option<Listing>,
}

impl Reread {
    /// Plans the next reading.
    pub(crate) fn finished(&mut self, now_ms: u64, config: &WatcherConfig) {
        self.due_ms = now_ms.saturating_add(millis(config.reread_interval));
        self.listing = None;
    }

    /// Reads a page if it is time, and adds to `stale` whoever has to be read in full.
    pub(crate) async fn step(
        &mut self,
        core: &Core,
        directory: &Directory,
        stale: &mut Rota,
    ) -> Result<(), ChainError> {
        if core.now_ms() < self.due_ms {
            return Ok(());
        }
        let config = &core.config;
        let listing =
            self.listing.get_or_insert_with(|| Listing::new(config.contracts.registry(), config.list_page));
        if !listing.read_on(&core.rpc).await? {
            return Ok(());
        }
        let listed = self.listing.take().map(Listing::into_found).unwrap_or_default();
        let now = directory.head().timestamp;
        let is_settled = |owner: Address| {
            directory.provider(owner).is_some_and(|known| !known.is_live(directory.rules(), now))
        };
        let changed = listed.iter().filter(|record| {
            let known = directory.provider(record.owner);
            let heard = known.is_some_and(|known| known.last_heartbeat == record.last_heartbeat);
            // Of those that are gone and said nothing since, nothing can have changed that anyone asks for.
            !(is_settled(record.owner) && heard)
        });
        stale.extend(changed.map(|record| record.owner));
        let here: HashSet<Address> = listed.iter().map(|record| record.owner).collect();
        let known = directory.providers().iter().map(|provider| provider.address);
        stale.extend(known.filter(|owner| !here.contains(owner)));
        self.finished(core.now_ms(), config);
        Ok(())
    }
}
