//! What is sold here, and at which price.

use std::sync::Arc;

use t4t_api::inference_runner::RunnerModel;
use t4t_api::registry_watcher::ListedOffering;
use t4t_clock::SharedClock;
use t4t_types::{ModelId, Offering, TokenPrices};
use tracing::warn;

use super::prices::ShownPrices;
use crate::selling::runners::Runners;

/// Longest answer time that is published, in seconds, as the reference publishes it.
const MAX_LATENCY_SECONDS: u64 = 120;

/// Offers in one list, as the registry bounds them.
const MAX_OFFERINGS: usize = 64;

/// What the runners offer together, and the prices by which it is billed.
pub(crate) struct Offer {
    runners: Arc<Runners>,
    default_prices: TokenPrices,
    shown: ShownPrices,
    clock: SharedClock,
}

impl Offer {
    pub(super) fn new(runners: Arc<Runners>, default_prices: TokenPrices, clock: SharedClock) -> Self {
        Self { runners, default_prices, shown: ShownPrices::default(), clock }
    }

    /// The models on offer, also those that are away for the moment.
    pub(super) fn models(&self) -> Vec<RunnerModel> {
        self.runners.models(self.default_prices)
    }

    /// Whether no runner has told a model.
    pub(crate) fn is_empty(&self) -> bool {
        self.models().is_empty()
    }

    /// Whether a runner serves the model.
    pub(crate) fn offers(&self, model: &ModelId) -> bool {
        self.models().iter().any(|offered| offered.model == *model)
    }

    /// What the model costs here now.
    pub(crate) fn prices_of(&self, model: &ModelId) -> TokenPrices {
        let mut models = self.models().into_iter();
        let own = models.find(|offered| offered.model == *model).and_then(|offered| offered.prices);
        own.unwrap_or(self.default_prices)
    }

    /// What a job for the model that is found now is billed by: never more than its client may have planned by.
    pub(crate) fn billed_prices_of(&self, model: &ModelId) -> TokenPrices {
        self.shown.billed(model, self.prices_of(model), self.clock.unix_millis())
    }

    /// Whether the prices that the registry shows were read since the start.
    pub(super) fn are_shown_prices_known(&self) -> bool {
        self.shown.are_known()
    }

    /// Notes what the registry shows now.
    pub(super) fn saw_in_registry(&self, offerings: &[ListedOffering]) {
        self.shown.saw(offerings, self.clock.unix_millis());
    }

    /// What the registry is to show.
    pub(super) fn offerings(&self) -> Vec<Offering> {
        let mut models = self.models();
        // The registry would refuse the whole list for one name; the runner has said so already.
        models.retain(|model| model.model.as_str().len() <= ModelId::MAX_OFFERED_BYTES);
        if models.len() > MAX_OFFERINGS {
            warn!(models = models.len(), "only the first {MAX_OFFERINGS} models by name are offered");
        }
        let offering = |model: RunnerModel| Offering {
            prices: model.prices.unwrap_or(self.default_prices),
            max_context_tokens: model.max_context_tokens.unwrap_or(0).into(),
            max_latency_seconds: MAX_LATENCY_SECONDS,
            model: model.model.to_string(),
        };
        models.into_iter().take(MAX_OFFERINGS).map(offering).collect()
    }

    /// How many jobs are worked on at a time.
    pub(super) fn slots(&self) -> u32 {
        self.runners.limit()
    }

    /// Whether all runners are in processes of their own, and come after this one's start.
    pub(super) fn has_runners_apart(&self) -> bool {
        self.runners.are_apart()
    }

    /// Asks the runners what they offer now.
    pub(super) async fn refresh(&self) {
        self.runners.refresh().await;
    }
}
