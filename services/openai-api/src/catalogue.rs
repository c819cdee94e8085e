//! The models on offer, kept for a while.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::{ListModels, ListProviders, ModelListing, ProviderListing, WatcherError};
use t4t_api::{RegistryWatcher, Serve, TransportError};
use t4t_clock::{SharedClock, timeout};
use t4t_types::{ModelId, UnixSeconds};
use tokio::sync::Mutex;

use crate::config::ModelsConfig;
use crate::error::{GatewayError, hint};

/// How long the watcher may take: apps give up on the list after 5 s.
const WATCHER_LIMIT: Duration = Duration::from_secs(4);

/// For how many times its time a list is still shown when no new one can be had.
const STALE_FACTOR: u32 = 10;

/// The most names suggested for one that nobody offers.
const MAX_SUGGESTIONS: usize = 3;

/// For how long a model that was on offer, or whose provider was heard of, is taken to be away for a moment only.
const AWAY: Duration = Duration::from_secs(3600);

/// When to try again while a model is away, in seconds: a provider that starts is on the market within seconds.
const AWAY_RETRY_S: u64 = 10;

/// The most models that are remembered after they left.
const REMEMBERED: usize = 10_000;

/// The last lists seen. A lock is held while one is fetched, so that many askers cost one question.
pub(crate) struct Catalogue {
    watcher: Arc<dyn RegistryWatcher>,
    clock: SharedClock,
    config: ModelsConfig,
    last: Mutex<Option<Listed>>,
    /// Models whose providers gave a sign of life lately, and when they were listed.
    heard_of: Mutex<Option<(u64, Arc<HashSet<ModelId>>)>>,
    /// When the edge began to list models.
    started: UnixSeconds,
}

#[derive(Clone, Debug)]
struct Listed {
    at_ms: u64,
    /// What apps are shown.
    models: Arc<[ModelListing]>,
    /// When each model was last on offer, shown or not.
    seen_ms: Arc<HashMap<ModelId, u64>>,
    /// Models that have fewer providers than are asked for.
    few: Arc<[ModelId]>,
}

impl Catalogue {
    /// Nothing was listed yet.
    pub(crate) fn new(watcher: Arc<dyn RegistryWatcher>, clock: SharedClock, config: ModelsConfig) -> Self {
        let started = clock.now();
        Self { watcher, clock, config, last: Mutex::default(), heard_of: Mutex::default(), started }
    }

    /// When the edge began to list models.
    pub(crate) fn started(&self) -> UnixSeconds {
        self.started
    }

    /// Whether the model may be listed and bought.
    pub(crate) fn allows(&self, model: &ModelId) -> bool {
        self.config.allows(model)
    }

    /// The models on offer.
    ///
    /// # Errors
    /// The watcher can't list them, and no list is young enough to be shown instead.
    pub(crate) async fn models(&self) -> Result<Arc<[ModelListing]>, WatcherError> {
        self.listed().await.map(|listed| listed.models)
    }

    async fn listed(&self) -> Result<Listed, WatcherError> {
        let mut last = self.last.lock().await;
        let now = self.clock.unix_millis();
        let ttl = self.config.ttl;
        if let Some(listed) = last.as_ref().filter(|listed| listed.is_younger(now, ttl)) {
            return Ok(listed.clone());
        }
        match self.fetch().await {
            Ok(models) => {
                let before = last.take().map(|listed| listed.seen_ms).unwrap_or_default();
                let listed = Listed::of(&self.config, models, before, now);
                *last = Some(listed.clone());
                Ok(listed)
            }
            Err(error) => {
                let kept = last.as_ref().filter(|listed| listed.is_younger(now, ttl * STALE_FACTOR));
                let Some(listed) = kept else { return Err(error) };
                tracing::warn!(%error, "the models can't be listed, showing an older list");
                Ok(listed.clone())
            }
        }
    }

    /// Why a model can't be had: a setting hides it, its providers are away for a moment, or nobody has it.
    pub(crate) async fn absence(&self, wanted: &str) -> GatewayError {
        let listed = self.listed().await.ok();
        let near =
            || hint(&listed.as_ref().map(|listed| nearest(&listed.models, wanted)).unwrap_or_default());
        let (model, named) = (wanted.to_owned(), wanted.parse::<ModelId>().ok());
        let Some(named) = named else { return GatewayError::UnknownModel { model, hint: near() } };
        if !self.config.allows(&named) {
            return GatewayError::HiddenModel { model, setting: "T4T_ALLOWED_MODELS", hint: near() };
        }
        if listed.as_ref().is_some_and(|listed| listed.few.contains(&named)) {
            return GatewayError::HiddenModel { model, setting: "T4T_MIN_PROVIDERS_PER_MODEL", hint: near() };
        }
        let now_ms = self.clock.unix_millis();
        let seen_ms = listed.as_ref().and_then(|listed| listed.seen_ms.get(&named));
        if seen_ms.is_some_and(|seen_ms| is_recent(*seen_ms, now_ms)) || self.was_heard_of(&named).await {
            return GatewayError::ModelAway { model, retry_after_s: AWAY_RETRY_S };
        }
        GatewayError::UnknownModel { model, hint: near() }
    }

    /// Whether a provider that has the model gave a sign of life lately, so that it will be back. The whole directory is
    /// asked for, so the answer is kept as long as the list of models: names that nobody knows are free to invent.
    async fn was_heard_of(&self, model: &ModelId) -> bool {
        let mut heard_of = self.heard_of.lock().await;
        let now_ms = self.clock.unix_millis();
        let is_young = |at_ms: u64| u128::from(now_ms.saturating_sub(at_ms)) < self.config.ttl.as_millis();
        if let Some((_, models)) = heard_of.as_ref().filter(|(at_ms, _)| is_young(*at_ms)) {
            return models.contains(model);
        }
        let Some(models) = self.alive_lately().await else { return false };
        let is_known = models.contains(model);
        *heard_of = Some((now_ms, Arc::new(models)));
        is_known
    }

    async fn alive_lately(&self) -> Option<HashSet<ModelId>> {
        let ask = ListProviders { provider: None };
        let asked = Serve::<ListProviders>::ask(&*self.watcher, ask);
        let providers = timeout(&*self.clock, WATCHER_LIMIT, asked).await.ok()?.ok()?;
        let now = self.clock.now();
        let is_alive = |provider: &ProviderListing| {
            provider.active && now.get().saturating_sub(provider.last_heartbeat.get()) < AWAY.as_secs()
        };
        let alive = providers.into_iter().filter(is_alive);
        Some(alive.flat_map(|provider| provider.offerings).map(|offering| offering.model).collect())
    }

    async fn fetch(&self) -> Result<Vec<ModelListing>, WatcherError> {
        let listed =
            timeout(&*self.clock, WATCHER_LIMIT, Serve::<ListModels>::ask(&*self.watcher, ListModels {}));
        let too_slow = |_| TransportError::TimedOut {
            service: "registry-watcher".into(),
            after_ms: u64::try_from(WATCHER_LIMIT.as_millis()).unwrap_or(u64::MAX),
        };
        listed.await.map_err(too_slow)?
    }
}

impl Listed {
    fn of(
        config: &ModelsConfig,
        all: Vec<ModelListing>,
        before: Arc<HashMap<ModelId, u64>>,
        now_ms: u64,
    ) -> Self {
        let mut seen_ms = Arc::unwrap_or_clone(before);
        seen_ms.retain(|_, seen_ms| is_recent(*seen_ms, now_ms));
        for listing in &all {
            if seen_ms.len() < REMEMBERED || seen_ms.contains_key(&listing.model) {
                seen_ms.insert(listing.model.clone(), now_ms);
            }
        }
        let allowed = all.into_iter().filter(|listing| config.allows(&listing.model));
        let (models, few): (Vec<_>, Vec<_>) =
            allowed.partition(|listing| listing.providers >= config.min_providers);
        let few = few.into_iter().map(|listing| listing.model).collect();
        Self { at_ms: now_ms, models: models.into(), seen_ms: Arc::new(seen_ms), few }
    }

    fn is_younger(&self, now_ms: u64, limit: Duration) -> bool {
        // A market without models is one that has only begun.
        !self.models.is_empty() && u128::from(now_ms.saturating_sub(self.at_ms)) < limit.as_millis()
    }
}

fn is_recent(seen_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(seen_ms)) < AWAY.as_millis()
}

fn nearest(models: &[ModelListing], wanted: &str) -> Vec<ModelId> {
    let wanted = wanted.to_lowercase();
    let distances =
        models.iter().filter_map(|listing| Some((distance(&listing.model, &wanted)?, &listing.model)));
    let mut ranked: Vec<_> = distances.collect();
    ranked.sort();
    ranked.into_iter().take(MAX_SUGGESTIONS).map(|(_, model)| model.clone()).collect()
}

/// How unlike the names are; `None` where one can't be a slip for the other.
fn distance(model: &ModelId, wanted: &str) -> Option<usize> {
    let name = model.as_str().to_lowercase();
    if is_whole_part(&name, wanted) || is_whole_part(wanted, &name) {
        return Some(1);
    }
    // A slip is a letter or two: of a short name that would be half of it.
    let limit = (wanted.len() / 4).min(2);
    // The cheap bound first: names can be many.
    if name.len().abs_diff(wanted.len()) > limit {
        return None;
    }
    Some(strsim::osa_distance(&name, wanted)).filter(|distance| *distance <= limit)
}

/// Whether `part` stands in a name as a whole: `llama3` in `ollama/llama3:8b`, but `m1` not in `gemm1b`.
fn is_whole_part(name: &str, part: &str) -> bool {
    let ends = |beside: Option<char>| beside.is_none_or(|beside| !beside.is_alphanumeric());
    let found = (part.len() >= 3).then(|| name.match_indices(part));
    found
        .into_iter()
        .flatten()
        .any(|(at, _)| ends(name[..at].chars().next_back()) && ends(name[at + part.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use t4t_types::TokenPrices;

    use super::*;

    fn suggestions(offered: &[&str], wanted: &str) -> Vec<String> {
        let listing = |name: &&str| ModelListing {
            model: name.parse().unwrap(),
            providers: 1,
            cheapest: TokenPrices::default(),
            max_context_tokens: 0,
        };
        let models: Vec<_> = offered.iter().map(listing).collect();
        nearest(&models, wanted).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_like_the_wanted_one_are_suggested_and_others_are_not() {
        let offered = ["llama3:8b", "llama3:70b", "qwen2.5:7b", "mistral"];
        assert_eq!(suggestions(&offered, "llama3"), ["llama3:70b", "llama3:8b"]);
        assert_eq!(suggestions(&offered, "LLAMA3:8B"), ["llama3:8b", "llama3:70b"]);
        assert_eq!(suggestions(&offered, "ollama/llama3:8b"), ["llama3:8b"]);
        assert_eq!(suggestions(&offered, "qwen2.5:8b"), ["qwen2.5:7b"]);
        assert!(suggestions(&offered, "gpt-4o").is_empty());
        for other in ["m1", "8b", "mistral-small3", "llama2"] {
            assert!(
                suggestions(&["mock/chat-1b", "m12", "llama3:8b", "mistra1x9"], other).is_empty(),
                "{other}"
            );
        }
        assert!(suggestions(&[], "gpt-4o").is_empty());
    }
}
