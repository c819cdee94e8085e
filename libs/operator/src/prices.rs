//! What each model costs, by the offers of the live providers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use t4t_api::Serve;
use t4t_api::registry_watcher::{ListProviders, WatcherError};
use t4t_types::{Address, ModelId, TokenPrices, Xbzz};

/// Lists the prices of every model on offer, or of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPrices {
    /// Asks for one model only.
    pub model: Option<ModelId>,
}

/// What one model costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPrices {
    /// The model.
    pub model: ModelId,
    /// Input and output price together of the offer in the middle, of the lower one where two are.
    pub median_combined: Xbzz,
    /// The live offers, the cheapest first by input and output price together.
    pub offers: Vec<PricedOffer>,
}

/// One provider's offer of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedOffer {
    /// The provider.
    pub provider: Address,
    /// What it asks.
    pub prices: TokenPrices,
    /// The longest context in tokens; 0 if not stated.
    pub max_context_tokens: u64,
}

impl PricedOffer {
    /// Input and output price together; an offer whose sum is beyond counting is the dearest.
    fn combined(&self) -> Xbzz {
        self.prices.input.saturating_add(self.prices.output)
    }
}

impl ListPrices {
    /// Asks the registry watcher, wherever it runs; models are sorted by name.
    ///
    /// # Errors
    /// Those of the watcher.
    pub async fn read(
        &self,
        watcher: &(impl Serve<ListProviders> + ?Sized),
    ) -> Result<Vec<ModelPrices>, WatcherError> {
        let providers = watcher.ask(ListProviders { provider: None }).await?;
        let mut offers: BTreeMap<ModelId, Vec<PricedOffer>> = BTreeMap::new();
        for provider in providers.into_iter().filter(|provider| provider.live) {
            for offer in provider.offerings {
                let priced = PricedOffer {
                    provider: provider.provider,
                    prices: offer.prices,
                    max_context_tokens: offer.max_context_tokens,
                };
                offers.entry(offer.model).or_default().push(priced);
            }
        }
        let wanted = |model: &ModelId| self.model.as_ref().is_none_or(|wanted| wanted == model);
        Ok(offers.into_iter().filter(|(model, _)| wanted(model)).map(sorted).collect())
    }
}

fn sorted((model, mut offers): (ModelId, Vec<PricedOffer>)) -> ModelPrices {
    offers.sort_by_key(PricedOffer::combined);
    let middle = offers.get(offers.len().saturating_sub(1) / 2);
    ModelPrices { model, median_combined: middle.map(PricedOffer::combined).unwrap_or_default(), offers }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use t4t_api::registry_watcher::{ListedOffering, ProviderListing};
    use t4t_types::UnixSeconds;

    use super::*;

    /// A watcher that knows these providers.
    struct Knows(Vec<ProviderListing>);

    #[async_trait]
    impl Serve<ListProviders> for Knows {
        async fn ask(&self, _: ListProviders) -> Result<Vec<ProviderListing>, WatcherError> {
            Ok(self.0.clone())
        }
    }

    fn provider(number: u8, live: bool, offers: &[(&str, u64)]) -> ProviderListing {
        let offering = |(model, price): &(&str, u64)| ListedOffering {
            model: model.parse().unwrap(),
            prices: TokenPrices { input: Xbzz::from_whole(*price), output: Xbzz::from_whole(1) },
            max_context_tokens: 4096,
        };
        ProviderListing {
            provider: Address::new([number; 20]),
            sealing_key: [1; 32].into(),
            overlay: [2; 32].into(),
            metadata_uri: String::new(),
            stake: Xbzz::from_whole(100),
            min_stake: Xbzz::from_whole(100),
            active: true,
            live,
            last_heartbeat: UnixSeconds::new(1),
            total_jobs: 0,
            successful_jobs: 0,
            open_jobs: 0,
            max_concurrent_jobs: 0,
            offerings: offers.iter().map(offering).collect(),
        }
    }

    #[tokio::test]
    async fn live_offers_are_shown_by_model_the_cheapest_first() {
        let watcher = Knows(vec![
            provider(1, true, &[("b", 7), ("a", 5)]),
            provider(2, true, &[("b", 3)]),
            provider(3, false, &[("b", 1), ("c", 1)]),
            provider(4, true, &[("b", 9)]),
        ]);
        let all = ListPrices::default().read(&watcher).await.unwrap();
        let models: Vec<&str> = all.iter().map(|prices| prices.model.as_str()).collect();
        assert_eq!(models, ["a", "b"]);
        let of_b = ListPrices { model: Some("b".parse().unwrap()) }.read(&watcher).await.unwrap();
        assert_eq!(of_b, all[1..]);
        let providers: Vec<Address> = of_b[0].offers.iter().map(|offer| offer.provider).collect();
        assert_eq!(providers, [2, 1, 4].map(|number| Address::new([number; 20])));
        assert_eq!(of_b[0].median_combined, Xbzz::from_whole(8));
    }

    #[tokio::test]
    async fn of_two_offers_the_lower_one_is_the_median() {
        let watcher = Knows(vec![provider(1, true, &[("m", 9)]), provider(2, true, &[("m", 2)])]);
        let prices = ListPrices::default().read(&watcher).await.unwrap();
        assert_eq!(prices[0].median_combined, Xbzz::from_whole(3));
    }
}
