//! The directory: every provider of the registry, indexed by model. Readers hold an immutable copy, so that no question
//! waits for a look at the chain, and none costs one.

use std::collections::HashMap;
use std::sync::Arc;

use t4t_api::registry_watcher::{
    Candidate, Head, ListCandidates, ListedOffering, ModelListing, ProviderListing,
};
use t4t_types::{Address, ModelId, TokenPrices, UnixSeconds};

use crate::provider::{Provider, Rules};

/// The newest block seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenHead {
    /// Its number.
    pub block: u64,
    /// Its time, by which liveness is judged.
    pub timestamp: UnixSeconds,
    /// When it was seen, in milliseconds since 1970.
    pub seen_at_ms: u64,
}

impl SeenHead {
    /// The head as callers see it at `now_ms`.
    pub const fn as_of(&self, now_ms: u64, is_registry_read: bool) -> Head {
        let age_ms = now_ms.saturating_sub(self.seen_at_ms);
        Head { block: self.block, timestamp: self.timestamp, age_ms, is_registry_read }
    }
}

/// Every provider of the registry as of one block. A clone shares everything until it is changed.
#[derive(Clone, Debug)]
pub struct Directory {
    rules: Rules,
    head: SeenHead,
    /// In the registry's order.
    providers: Arc<Vec<Provider>>,
    index: Arc<Index>,
}

#[derive(Debug, Default)]
struct Index {
    places: HashMap<Address, usize>,
    /// Offers of each model, in the registry's order.
    offers: HashMap<ModelId, Vec<Offer>>,
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    place: usize,
    prices: TokenPrices,
    max_context_tokens: u64,
}

impl Index {
    fn of(providers: &[Provider]) -> Self {
        let mut index = Self { places: HashMap::with_capacity(providers.len()), offers: HashMap::new() };
        for (place, provider) in providers.iter().enumerate() {
            index.places.insert(provider.address, place);
            for offering in provider.offerings.iter() {
                index.add(place, offering);
            }
        }
        index
    }

    fn add(&mut self, place: usize, offering: &ListedOffering) {
        let ListedOffering { model, prices, max_context_tokens } = offering;
        let offer = Offer { place, prices: *prices, max_context_tokens: *max_context_tokens };
        match self.offers.get_mut(model) {
            Some(offers) => offers.push(offer),
            None => drop(self.offers.insert(model.clone(), vec![offer])),
        }
    }
}

impl Directory {
    /// A directory of these providers, which are in the registry's order. A wallet that comes twice counts once.
    pub fn new(rules: Rules, head: SeenHead, mut providers: Vec<Provider>) -> Self {
        let mut known = std::collections::HashSet::with_capacity(providers.len());
        providers.retain(|provider| known.insert(provider.address));
        let index = Arc::new(Index::of(&providers));
        Self { rules, head, providers: Arc::new(providers), index }
    }

    /// What makes a provider live.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The newest block seen.
    pub const fn head(&self) -> &SeenHead {
        &self.head
    }

    /// The providers, in the registry's order.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// A provider.
    pub fn provider(&self, address: Address) -> Option<&Provider> {
        self.index.places.get(&address).and_then(|place| self.providers.get(*place))
    }

    /// The offers that `wanted` describes, in the registry's order.
    pub fn candidates(&self, wanted: &ListCandidates) -> Vec<Candidate> {
        let Some(offers) = self.index.offers.get(&wanted.model) else {
            return Vec::new();
        };
        if let Some(address) = wanted.provider {
            let place = self.index.places.get(&address);
            let found = place.and_then(|place| {
                offers.binary_search_by_key(place, |offer| offer.place).ok().and_then(|at| offers.get(at))
            });
            let affordable = found.filter(|offer| is_affordable(offer, wanted));
            return affordable.and_then(|offer| self.candidate(offer)).into_iter().collect();
        }
        let affordable = offers.iter().filter(|offer| is_affordable(offer, wanted));
        let mut found = Vec::with_capacity(offers.len());
        found.extend(affordable.filter_map(|offer| self.candidate(offer)).filter(|candidate| candidate.live));
        found
    }

    fn candidate(&self, offer: &Offer) -> Option<Candidate> {
        let provider = self.providers.get(offer.place)?;
        Some(Candidate {
            provider: provider.address,
            sealing_key: provider.sealing_key,
            overlay: provider.overlay,
            prices: offer.prices,
            max_context_tokens: offer.max_context_tokens,
            stake: provider.stake,
            total_jobs: provider.total_jobs,
            successful_jobs: provider.successful_jobs,
            open_jobs: provider.open_jobs,
            max_concurrent_jobs: provider.max_concurrent_jobs,
            live: provider.is_live(&self.rules, self.head.timestamp),
        })
    }

    /// The models that live providers offer, sorted by name.
    pub fn models(&self) -> Vec<ModelListing> {
        let live: Vec<bool> = self
            .providers
            .iter()
            .map(|provider| provider.is_live(&self.rules, self.head.timestamp))
            .collect();
        let is_live = |offer: &&Offer| live.get(offer.place).copied().unwrap_or_default();
        let listing = |(model, offers): (&ModelId, &Vec<Offer>)| {
            let offered = || offers.iter().filter(is_live);
            let cheapest = offered().min_by_key(|offer| offer.prices.combined())?.prices;
            Some(ModelListing {
                model: model.clone(),
                providers: u32::try_from(offered().count()).unwrap_or(u32::MAX),
                cheapest,
                max_context_tokens: offered().map(|offer| offer.max_context_tokens).max().unwrap_or_default(),
            })
        };
        let mut models: Vec<ModelListing> = self.index.offers.iter().filter_map(listing).collect();
        models.sort_unstable_by(|a, b| a.model.cmp(&b.model));
        models
    }

    /// Every provider as callers see it.
    pub fn listings(&self) -> Vec<ProviderListing> {
        self.providers.iter().map(|provider| provider.listing(&self.rules, self.head.timestamp)).collect()
    }

    pub(crate) fn set_head(&mut self, head: SeenHead) {
        self.head = head;
    }

    /// A provider, to be changed in what no index depends on.
    pub(crate) fn provider_mut(&mut self, address: Address) -> Option<&mut Provider> {
        let place = *self.index.places.get(&address)?;
        Arc::make_mut(&mut self.providers).get_mut(place)
    }

    /// Takes over what was read of some wallets; `None` stands for one that is not registered.
    pub(crate) fn apply(&mut self, read: Vec<(Address, Option<Provider>)>) {
        let mut reindex = false;
        for (address, provider) in read {
            reindex |= match provider {
                Some(provider) => self.replace(provider),
                None => self.remove(address),
            };
        }
        if reindex {
            self.index = Arc::new(Index::of(&self.providers));
        }
    }

    /// Replaces or adds a provider and returns whether the index has to be built anew.
    fn replace(&mut self, provider: Provider) -> bool {
        let providers = Arc::make_mut(&mut self.providers);
        // The index may be behind while several are applied, so the place is checked.
        let place = self.index.places.get(&provider.address).copied();
        let known = place
            .and_then(|place| providers.get_mut(place))
            .filter(|known| known.address == provider.address);
        if let Some(known) = known {
            let same_offers = known.offerings == provider.offerings;
            *known = provider;
            return !same_offers;
        }
        match providers.iter_mut().find(|known| known.address == provider.address) {
            Some(known) => *known = provider,
            None => providers.push(provider),
        }
        true
    }

    /// Removes a provider as our registry does: the last one takes its place.
    fn remove(&mut self, address: Address) -> bool {
        let Some(place) = self.providers.iter().position(|provider| provider.address == address) else {
            return false;
        };
        Arc::make_mut(&mut self.providers).swap_remove(place);
        true
    }
}

fn is_affordable(offer: &Offer, wanted: &ListCandidates) -> bool {
    wanted.max_combined_price.is_none_or(|limit| offer.prices.combined() <= limit)
}

#[cfg(test)]
mod tests;
