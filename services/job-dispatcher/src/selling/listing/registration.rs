//! The first entry in the registry, and the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use t4t_api::settlement::RegistryIntent;
use t4t_clock::SharedClock;
use t4t_protocol::provider_feed;
use t4t_runtime::config::ProviderSettings;
use t4t_swarm::FeedManifest;
use t4t_types::{Address, EncryptionKey, Xbzz};
use tracing::{info, warn};

use super::intake::NotReady;
use super::offer::Offer;
use super::transactions::Transactions;
use crate::carriage::Courier;

/// How long an entry of our own making may take to show; after that it is gone, and made again.
const REGISTERED_SHOWS_MS: u64 = 60_000;

/// Staked beyond the minimum, where the wallet has it: with one PLUR less than the minimum nobody can post a job, and the
/// first payment that burns takes more than that.
pub(super) const STAKE_MARGIN: Xbzz = ProviderSettings::STAKE_MARGIN;

/// Whom the entry names, and with which stake.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) wallet: Address,
    pub(super) sealing_key: EncryptionKey,
    pub(super) stake: Xbzz,
}

/// Enters the registry and leaves it.
pub(super) struct Registration {
    identity: Identity,
    offer: Arc<Offer>,
    courier: Arc<dyn Courier>,
    transactions: Transactions,
    clock: SharedClock,
    /// When this process last registered the provider, in milliseconds since 1970; 0 if it did not.
    registered_at_ms: AtomicU64,
}

impl Registration {
    pub(super) fn new(
        identity: Identity,
        offer: Arc<Offer>,
        courier: Arc<dyn Courier>,
        transactions: Transactions,
        clock: SharedClock,
    ) -> Self {
        Self { identity, offer, courier, transactions, clock, registered_at_ms: AtomicU64::new(0) }
    }

    /// The key that the entry must name.
    pub(super) fn sealing_key(&self) -> EncryptionKey {
        self.identity.sealing_key
    }

    /// Registers, unless that was done a moment ago.
    pub(super) async fn register_if_missing(&self) -> Result<(), NotReady> {
        // A node may be behind the one that took the registration: an entry of our own making shows in a moment.
        let registered_at_ms = self.registered_at_ms.load(Ordering::Relaxed);
        if self.clock.unix_millis().saturating_sub(registered_at_ms) < REGISTERED_SHOWS_MS {
            return Err(NotReady::Unknown("registered; the directory does not show it yet".into()));
        }
        self.register().await
    }

    /// Registers with a real overlay: zeros would stay on the chain for ever.
    async fn register(&self) -> Result<(), NotReady> {
        let overlay = self.courier.overlay().await;
        let overlay = overlay.map_err(|error| {
            NotReady::certain(
                format!("the Bee node does not answer: {error}"),
                "start Bee, or correct BEE_API_URL",
            )
        })?;
        let metadata = FeedManifest::new(self.identity.wallet, provider_feed());
        let account = self.transactions.account().await?;
        let stake = stake_with_margin(self.identity.stake, account.xbzz);
        let intent = RegistryIntent::Register {
            sealing_key: self.identity.sealing_key,
            overlay,
            metadata_uri: metadata.uri(),
            stake,
        };
        info!(%stake, %overlay, "registering as a provider");
        if stake <= self.identity.stake {
            warn!(
                %stake,
                "the stake is the least that there is: the first payment that burns takes this provider off the market; \
                 send it xBZZ and run `t4t stake add {STAKE_MARGIN}`"
            );
        }
        // Unregistered, nobody sends jobs: whatever keeps it from registering is worth a loud word.
        self.transactions.submit("register", intent).await.map_err(NotReady::into_certain)?;
        self.registered_at_ms.store(self.clock.unix_millis(), Ordering::Relaxed);
        self.store_manifest(&metadata).await;
        let offerings = self.offer.offerings();
        self.transactions.submit("offerings", RegistryIntent::UpdateOfferings { offerings }).await?;
        let cap = self.offer.slots().max(1);
        self.transactions.submit("cap", RegistryIntent::SetMaxConcurrentJobs { cap }).await
    }

    /// Puts the manifest of the provider's feed where its registration says. Anybody can make it again from the wallet's
    /// address, so that it may be missing.
    async fn store_manifest(&self, manifest: &FeedManifest) {
        for node in manifest.nodes() {
            if let Err(error) = self.courier.upload_request(node.clone()).await {
                warn!(%error, uri = manifest.uri(), "the manifest of this provider's feed could not be stored");
            }
        }
    }

    /// Leaves the market. Irreversible until the stake is withdrawn.
    pub(super) async fn leave(&self) -> Result<(), String> {
        let left = self.transactions.submit("deactivate", RegistryIntent::Deactivate).await;
        left.map_err(NotReady::into_text)
    }
}

/// What to stake at registration: the margin on top, if the wallet has it.
fn stake_with_margin(least: Xbzz, in_wallet: Xbzz) -> Xbzz {
    least.checked_add(STAKE_MARGIN).filter(|stake| *stake <= in_wallet).unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_registers_with_a_margin_where_the_wallet_has_it() {
        let least = Xbzz::from_whole(100);
        assert_eq!(stake_with_margin(least, Xbzz::from_whole(1000)), Xbzz::from_whole(110));
        assert_eq!(stake_with_margin(least, Xbzz::from_whole(109)), least);
        assert_eq!(stake_with_margin(least, Xbzz::ZERO), least);
    }
}
