//! This node's address in Swarm, as providers are told it.

use std::sync::Arc;

use t4t_panics::Lock;
use t4t_types::Overlay;
use tracing::warn;

use crate::carriage::Courier;

/// This node's address, asked for again while it is not known; zeros tell a provider that there is none, and it then
/// answers through the chain.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnOverlay(Arc<Lock<Overlay>>);

impl OwnOverlay {
    pub(super) async fn get(&self, courier: &dyn Courier) -> Overlay {
        let known = *self.0.lock();
        if !known.is_zero() {
            return known;
        }
        let asked = courier.overlay().await.unwrap_or_else(|error| {
            warn!(%error, "the Swarm node does not tell its address; answers are taken from the chain");
            Overlay::ZERO
        });
        *self.0.lock() = asked;
        asked
    }
}
