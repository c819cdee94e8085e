//! Whether an order could be paid for and followed.

use std::sync::Arc;

use t4t_api::RegistryWatcher;
use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::GetHead;
use t4t_store::Store;

use crate::carriage::Courier;

/// A head of the chain older than this says that this gateway is cut off: it could not follow a payment.
const STALE_HEAD_MS: u64 = 60_000;

/// What an order stands on.
pub(super) struct Ready {
    pub(super) store: Store,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) watcher: Arc<dyn RegistryWatcher>,
}

impl Ready {
    /// Whether a request could be brought to a provider and its payment followed: nothing is paid before that is so.
    pub(super) async fn look(&self) -> Result<(), BuyingError> {
        self.store.has_room().map_err(|error| unavailable(&error))?;
        if let Some(trouble) = self.courier.own_trouble().await {
            // What is wrong and what to do about it, as it is: no node, no postage, no way to the network.
            return Err(BuyingError::Unavailable { reason: format!("{trouble} (`t4t doctor` shows more)") });
        }
        let head = self.watcher.ask(GetHead {}).await.map_err(|error| unavailable(&error))?;
        if head.age_ms > STALE_HEAD_MS {
            let seconds = head.age_ms / 1000;
            let reason = format!("the chain has told nothing for {seconds} s: check GNOSIS_RPC_URL");
            return Err(BuyingError::Unavailable { reason });
        }
        Ok(())
    }
}

fn unavailable(error: &impl std::fmt::Display) -> BuyingError {
    BuyingError::Unavailable { reason: error.to_string() }
}
