//! This provider's entry in the registry, as the directory shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use t4t_api::RegistryWatcher;
use t4t_api::registry_watcher::{GetHead, Head, ListProviders, ProviderListing, WatcherError};
use t4t_types::Address;

use super::offer::Offer;

/// Reads the entry, and notes what it tells.
pub(super) struct OwnEntry {
    wallet: Address,
    watcher: Arc<dyn RegistryWatcher>,
    offer: Arc<Offer>,
    is_on_offer: AtomicBool,
}

impl OwnEntry {
    pub(super) fn new(wallet: Address, watcher: Arc<dyn RegistryWatcher>, offer: Arc<Offer>) -> Self {
        Self { wallet, watcher, offer, is_on_offer: AtomicBool::new(false) }
    }

    /// Reads the entry, and notes the prices that it shows.
    pub(super) async fn read(&self) -> Result<Option<ProviderListing>, WatcherError> {
        let mut found = self.watcher.ask(ListProviders { provider: Some(self.wallet) }).await?;
        let listing =
            found.pop().filter(|listing| listing.provider == self.wallet && listing.last_heartbeat.get() > 0);
        let offerings = listing.as_ref().map_or(&[][..], |listing| &listing.offerings);
        self.offer.saw_in_registry(offerings);
        self.is_on_offer.store(
            listing.as_ref().is_some_and(|listing| listing.live && !listing.offerings.is_empty()),
            Ordering::Relaxed,
        );
        Ok(listing)
    }

    /// Whether clients found this provider when the entry was last read.
    pub(super) fn is_on_offer(&self) -> bool {
        self.is_on_offer.load(Ordering::Relaxed)
    }

    /// The newest block.
    pub(super) async fn head(&self) -> Result<Head, WatcherError> {
        self.watcher.ask(GetHead {}).await
    }
}
