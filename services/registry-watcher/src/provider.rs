//! A provider as the directory keeps it.

use std::collections::HashSet;
use std::sync::Arc;

use t4t_api::registry_watcher::{ListedOffering, ProviderListing};
use t4t_chain::contracts::{Offering, RegistryEntry};
use t4t_types::{Address, EncryptionKey, Overlay, UnixSeconds, Xbzz};

/// Offers of one provider that are kept: as many as our registry takes. What comes after is left out.
pub const MAX_OFFERINGS: usize = 64;

/// What makes a provider live, as the contracts have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Seconds after a sign of life for which a provider counts as live.
    pub heartbeat_ttl: u64,
    /// Stake below which no job can be posted to a provider.
    pub min_stake: Xbzz,
}

/// A provider as the directory keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its wallet.
    pub address: Address,
    /// The key that requests are sealed to.
    pub sealing_key: EncryptionKey,
    /// Its node in Swarm.
    pub overlay: Overlay,
    /// Where it describes itself; may be empty.
    pub metadata_uri: Arc<str>,
    /// What it has at stake.
    pub stake: Xbzz,
    /// Whether it has not left the market.
    pub active: bool,
    /// Its last sign of life.
    pub last_heartbeat: UnixSeconds,
    /// Jobs counted by the registry.
    pub total_jobs: u32,
    /// Those of them that succeeded.
    pub successful_jobs: u32,
    /// Jobs that are not settled.
    pub open_jobs: u32,
    /// Jobs that it works on at a time; 0 means that it states no limit.
    pub max_concurrent_jobs: u32,
    /// What it offers: the first offer of each model.
    pub offerings: Arc<[ListedOffering]>,
    /// The block up to which its events are part of this.
    pub read_at: u64,
}

impl Provider {
    /// A provider as read at block `read_at`; without offers if those could not be read.
    pub fn from_entry(entry: RegistryEntry, read_at: u64) -> Self {
        let offerings = entry.offerings.unwrap_or_else(|error| {
            tracing::debug!(provider = %entry.record.owner, %error, "a provider's offers can't be read");
            Vec::new()
        });
        let record = entry.record;
        Self {
            address: record.owner,
            sealing_key: record.encryption_key,
            overlay: record.overlay,
            metadata_uri: record.metadata_uri.into(),
            stake: record.stake,
            active: record.active,
            last_heartbeat: record.last_heartbeat,
            total_jobs: record.total_jobs,
            successful_jobs: record.successful_jobs,
            open_jobs: entry.open_jobs,
            max_concurrent_jobs: record.max_concurrent_jobs,
            offerings: listed(&offerings),
            read_at,
        }
    }

    /// Whether jobs can be posted to it at `now`, by the chain's clock.
    pub fn is_live(&self, rules: &Rules, now: UnixSeconds) -> bool {
        let heard = self.last_heartbeat != UnixSeconds::new(0);
        let recent = self.last_heartbeat.plus(rules.heartbeat_ttl) >= now;
        self.active && heard && recent && self.stake >= rules.min_stake
    }

    /// The provider as callers see it.
    pub fn listing(&self, rules: &Rules, now: UnixSeconds) -> ProviderListing {
        ProviderListing {
            provider: self.address,
            sealing_key: self.sealing_key,
            overlay: self.overlay,
            metadata_uri: self.metadata_uri.to_string(),
            stake: self.stake,
            min_stake: rules.min_stake,
            active: self.active,
            live: self.is_live(rules, now),
            last_heartbeat: self.last_heartbeat,
            total_jobs: self.total_jobs,
            successful_jobs: self.successful_jobs,
            open_jobs: self.open_jobs,
            max_concurrent_jobs: self.max_concurrent_jobs,
            offerings: self.offerings.to_vec(),
        }
    }
}

/// The offers that count: the first one of each model, without those whose model has no valid name.
fn listed(offerings: &[Offering]) -> Arc<[ListedOffering]> {
    let mut known = HashSet::new();
    let parsed = offerings.iter().take(MAX_OFFERINGS).filter_map(|offering| {
        let model = offering.model.parse().ok()?;
        Some(ListedOffering {
            model,
            prices: offering.prices,
            max_context_tokens: offering.max_context_tokens,
        })
    });
    parsed.filter(|offering| known.insert(offering.model.clone())).collect()
}

#[cfg(test)]
mod tests {
    use t4t_types::TokenPrices;

    use super::*;

    fn offering(model: &str, input: u128) -> Offering {
        let prices = TokenPrices { input: Xbzz::from_plur(input), output: Xbzz::from_plur(1) };
        Offering { model: model.into(), prices, max_context_tokens: 0, max_latency_seconds: 120 }
    }

    #[test]
    fn the_first_offer_of_a_model_counts_and_names_that_are_none_are_skipped() {
        let long = "x".repeat(300);
        let offers =
            [offering("", 1), offering("a\nb", 1), offering(&long, 1), offering("m", 5), offering("m", 1)];
        let listed = listed(&offers);
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].prices.input, Xbzz::from_plur(5));
    }

    #[test]
    fn no_provider_takes_more_room_than_the_limit() {
        let offers: Vec<_> = (0..1000).map(|number| offering(&format!("model-{number}"), 1)).collect();
        assert_eq!(listed(&offers).len(), MAX_OFFERINGS);
    }
}
