//! Keys that requests are sealed to: believed once two endpoints of the chain name the same.
//!
//! Whoever answers for the chain could name its own key in a provider's place and read every prompt. So a key that one
//! endpoint named is not given to anybody before a second one has named it too; then it is kept, and another key takes its
//! place in the same way. Where one endpoint is configured there is nobody to ask.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, RwLock};

use futures_util::future::join_all;
use t4t_api::registry_watcher::Candidate;
use t4t_chain::contracts::ProviderRecord;
use t4t_types::{Address, EncryptionKey};

use crate::core::Core;
use crate::directory::Directory;
use crate::error::SyncError;
use crate::sync::BATCH;

/// Pause after endpoints did not agree, or too few answered.
const AGAIN_AFTER_MS: u64 = 5_000;

/// Endpoints that have to name a key.
const WITNESSES: usize = 2;

/// The keys that are confirmed.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    confirmed: RwLock<HashMap<Address, EncryptionKey>>,
}

impl Keys {
    fn of(&self, provider: Address) -> Option<EncryptionKey> {
        self.confirmed.read().unwrap_or_else(PoisonError::into_inner).get(&provider).copied()
    }

    /// Takes over keys that are confirmed.
    pub(crate) fn take(&self, keys: &[(Address, EncryptionKey)]) {
        self.confirmed.write().unwrap_or_else(PoisonError::into_inner).extend(keys.iter().copied());
    }
}

impl Core {
    /// Offers with keys that are confirmed: of a key that has changed since, the one before.
    pub(crate) fn with_confirmed_keys(&self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        if self.rpc.endpoints() < WITNESSES {
            return candidates;
        }
        let known = |candidate: Candidate| {
            let sealing_key = self.keys.of(candidate.provider)?;
            Some(Candidate { sealing_key, ..candidate })
        };
        candidates.into_iter().filter_map(known).collect()
    }
}

/// The one that asks for second words.
#[derive(Debug, Default)]
pub(crate) struct Confirming {
    not_before_ms: u64,
}

impl Confirming {
    /// Has the keys of live providers confirmed that are not, as many as go into one question.
    pub(crate) async fn step(&mut self, core: &Core, directory: &Directory) -> Result<(), SyncError> {
        let now = core.now_ms();
        if core.rpc.endpoints() < WITNESSES || now < self.not_before_ms {
            return Ok(());
        }
        let (rules, time) = (directory.rules(), directory.head().timestamp);
        let live = directory.providers().iter().filter(|provider| {
            !provider.offerings.is_empty()
                && provider.is_live(rules, time)
                && core.keys.of(provider.address) != Some(provider.sealing_key)
        });
        let mut owners: Vec<Address> = live.map(|provider| provider.address).collect();
        let waiting = owners.len();
        owners.truncate(BATCH);
        if owners.is_empty() {
            core.unconfirmed.store(0, Ordering::Relaxed);
            return Ok(());
        }
        let confirmed = confirmed(&said_by_each(core, &owners).await, &owners);
        let is_as_read = |(owner, key): &&(Address, EncryptionKey)| {
            directory.provider(*owner).is_some_and(|provider| provider.sealing_key == *key)
        };
        let settled = confirmed.iter().filter(is_as_read).count();
        core.unconfirmed.store(waiting.saturating_sub(settled), Ordering::Relaxed);
        if settled < owners.len() {
            self.not_before_ms = now.saturating_add(AGAIN_AFTER_MS);
        }
        if confirmed.len() < owners.len() {
            warn(&owners, &confirmed);
        }
        core.store.confirmed_keys_set(core.config.contracts.registry, &confirmed).await?;
        core.keys.take(&confirmed);
        Ok(())
    }
}

fn warn(owners: &[Address], confirmed: &[(Address, EncryptionKey)]) {
    let doubtful = owners.iter().filter(|owner| confirmed.iter().all(|(known, _)| known != *owner));
    let doubtful: Vec<String> = doubtful.map(Address::to_string).collect();
    tracing::warn!(
        providers = doubtful.join(" "),
        "no two endpoints of the chain name the same key of these providers, so nothing is sealed to a new one: check each \
         endpoint in GNOSIS_RPC_URL, or name a third one"
    );
}

/// What each endpoint that answers says of these providers.
async fn said_by_each(core: &Core, owners: &[Address]) -> Vec<Vec<ProviderRecord>> {
    let (registry, each) = (core.config.contracts.registry(), core.rpc.each());
    // With a closure here, the compiler could not tell that this may move to another thread.
    let mut asked = Vec::with_capacity(each.len());
    for rpc in &each {
        asked.push(registry.providers(rpc, owners));
    }
    join_all(asked).await.into_iter().flatten().collect()
}

/// The keys that enough of them name.
fn confirmed(said: &[Vec<ProviderRecord>], owners: &[Address]) -> Vec<(Address, EncryptionKey)> {
    let key_of = |(place, owner): (usize, &Address)| {
        let named: Vec<EncryptionKey> = said
            .iter()
            .filter_map(|records| records.get(place))
            .filter(|record| record.owner == *owner)
            .map(|record| record.encryption_key)
            .collect();
        let is_shared = |key: &EncryptionKey| named.iter().filter(|other| *other == key).count() >= WITNESSES;
        named.iter().copied().find(is_shared).map(|key| (*owner, key))
    };
    owners.iter().enumerate().filter_map(key_of).collect()
}
