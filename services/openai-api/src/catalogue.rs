//! The models on offer, kept for a while.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::RegistryWatcher;
use t4t_api::TransportError;
use t4t_api::registry_watcher::{ListModels, ModelListing, WatcherError};
use t4t_clock::timeout;
use t4t_types::ModelId;
use tokio::sync::Mutex;

use crate::state::Edge;

/// How long the watcher may take: apps give up on the list after 5 s.
const WATCHER_LIMIT: Duration = Duration::from_secs(4);

/// For how many times its time a list is still shown when no new one can be had.
const STALE_FACTOR: u32 = 10;

/// The most names suggested for one that nobody offers.
const MAX_SUGGESTIONS: usize = 3;

/// The last list seen. The lock is held while it is fetched, so that many askers cost one question.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    last: Mutex<Option<Listed>>,
}

#[derive(Clone, Debug)]
struct Listed {
    at_ms: u64,
    models: Arc<[ModelListing]>,
}

impl Catalogue {
    /// The models on offer.
    ///
    /// # Errors
    /// The watcher can't list them, and no list is young enough to be shown instead.
    pub(crate) async fn models(&self, edge: &Edge) -> Result<Arc<[ModelListing]>, WatcherError> {
        let mut last = self.last.lock().await;
        let now = edge.clock.unix_millis();
        let ttl = edge.config.models_ttl;
        if let Some(listed) = last.as_ref().filter(|listed| listed.is_younger(now, ttl)) {
            return Ok(Arc::clone(&listed.models));
        }
        let fetched = fetch(edge).await;
        let kept = last.as_ref().filter(|listed| listed.is_younger(now, ttl * STALE_FACTOR));
        match (fetched, kept) {
            (Ok(models), _) => {
                *last = Some(Listed { at_ms: now, models: Arc::clone(&models) });
                Ok(models)
            }
            (Err(error), Some(listed)) => {
                tracing::warn!(%error, "the models can't be listed, showing an older list");
                Ok(Arc::clone(&listed.models))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Names on offer that are like `wanted`, the most like first; none if there is no list.
    pub(crate) async fn nearest(&self, edge: &Edge, wanted: &str) -> Vec<ModelId> {
        match self.models(edge).await {
            Ok(models) => nearest(&models, wanted),
            Err(_) => Vec::new(),
        }
    }
}

impl Listed {
    fn is_younger(&self, now_ms: u64, limit: Duration) -> bool {
        // A market without models is one that has only begun.
        !self.models.is_empty() && u128::from(now_ms.saturating_sub(self.at_ms)) < limit.as_millis()
    }
}

async fn fetch(edge: &Edge) -> Result<Arc<[ModelListing]>, WatcherError> {
    let watcher: &dyn RegistryWatcher = &*edge.watcher;
    let listed =
        timeout(&*edge.clock, WATCHER_LIMIT, t4t_api::Serve::<ListModels>::ask(watcher, ListModels {}));
    let too_slow = |_| TransportError::TimedOut {
        service: "registry-watcher".into(),
        after_ms: u64::try_from(WATCHER_LIMIT.as_millis()).unwrap_or(u64::MAX),
    };
    let mut models = listed.await.map_err(too_slow)??;
    let min_providers = edge.config.min_providers;
    models.retain(|listing| listing.providers >= min_providers && edge.config.allows(&listing.model));
    Ok(models.into())
}

fn nearest(models: &[ModelListing], wanted: &str) -> Vec<ModelId> {
    let wanted = wanted.to_lowercase();
    let distances =
        models.iter().filter_map(|listing| Some((distance(&listing.model, &wanted)?, &listing.model)));
    let mut ranked: Vec<_> = distances.collect();
    ranked.sort();
    ranked.into_iter().take(MAX_SUGGESTIONS).map(|(_, model)| model.clone()).collect()
}

/// How unlike the names are; `None` if too much so to be suggested.
fn distance(model: &ModelId, wanted: &str) -> Option<usize> {
    let name = model.as_str().to_lowercase();
    if name.contains(wanted) || (name.len() >= 4 && wanted.contains(&name)) {
        return Some(1);
    }
    let limit = 2.max(wanted.len() / 3);
    // The cheap bound first: names can be many.
    if name.len().abs_diff(wanted.len()) > limit {
        return None;
    }
    Some(strsim::levenshtein(&name, wanted)).filter(|distance| *distance <= limit)
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
        assert!(suggestions(&[], "gpt-4o").is_empty());
    }
}
