//! What the directory lists for a model.

use std::sync::Arc;

use t4t_api::RegistryWatcher;
use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::{Candidate, ListCandidates};
use t4t_types::{Address, ModelId, Xbzz};

use super::trust::{Standing, Trust};

/// The directory, as far as this gateway may buy from it.
#[derive(Clone)]
pub(super) struct Listing {
    watcher: Arc<dyn RegistryWatcher>,
    trust: Trust,
    /// The one provider that is asked, where the operator says so.
    only: Option<Address>,
    /// The highest price per million tokens, input and output together.
    price_ceiling: Xbzz,
}

impl Listing {
    pub(super) fn new(
        watcher: Arc<dyn RegistryWatcher>,
        trust: Trust,
        only: Option<Address>,
        price_ceiling: Xbzz,
    ) -> Self {
        Self { watcher, trust, only, price_ceiling }
    }

    /// Who offers a model now.
    pub(super) async fn of(&self, model: &ModelId) -> Result<Vec<Candidate>, BuyingError> {
        let list = ListCandidates { model: model.clone(), max_combined_price: None, provider: self.only };
        let found = self.watcher.ask(list).await;
        let found = found.map_err(|error| BuyingError::Unavailable { reason: error.to_string() })?;
        if found.is_empty() {
            return Err(BuyingError::UnknownModel { model: model.clone() });
        }
        Ok(found)
    }

    /// Whether somebody else could serve a model.
    pub(super) async fn has_another(&self, model: &ModelId, than: Address) -> bool {
        let is_another = |candidate: &Candidate| {
            candidate.provider != than
                && candidate.prices.combined() <= self.price_ceiling
                && matches!(self.trust.standing(candidate.provider), Standing::Good | Standing::Behind)
        };
        self.of(model).await.is_ok_and(|listed| listed.iter().any(is_another))
    }
}
