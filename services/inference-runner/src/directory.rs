//! What the backends have and how they do: the one place that discovery writes and requests read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use t4t_api::inference_runner::RunnerModel;
use t4t_types::ModelId;
use tokio::sync::Notify;

use crate::catalogue::{ListedModel, Route, name_models};
use crate::endpoints::Endpoint;

/// Failures in a row after which a model is held back until it answers a probe.
const FAILURES_TO_HOLD: u32 = 3;

/// Rounds in a row that a backend may miss before its models are no longer offered. One miss is forgiven: taking a
/// model off the chain and putting it back costs more than one failed request.
const MISSES_TO_WITHDRAW: u32 = 2;

/// Rounds in a row that a backend may miss before its models are forgotten. Until then the names of other backends'
/// models stay what they are.
const MISSES_TO_FORGET: u32 = 10;

/// The models of all backends.
#[derive(Debug)]
pub(crate) struct Directory {
    endpoints: Vec<Endpoint>,
    hold_new_models: bool,
    state: Mutex<State>,
    worry: Notify,
}

#[derive(Debug)]
struct State {
    listings: Vec<Vec<ListedModel>>,
    misses: Vec<u32>,
    named: BTreeMap<ModelId, Arc<Route>>,
    failures: HashMap<(usize, ModelId), u32>,
    /// Models that a request, which is a stranger's word, showed in a bad light.
    doubted: HashSet<(usize, ModelId)>,
}

impl Directory {
    /// A directory without models; new ones are held back until they answer if `hold_new_models`.
    pub(crate) fn new(endpoints: Vec<Endpoint>, hold_new_models: bool) -> Self {
        let state = State {
            listings: vec![Vec::new(); endpoints.len()],
            misses: vec![0; endpoints.len()],
            named: BTreeMap::new(),
            failures: HashMap::new(),
            doubted: HashSet::new(),
        };
        Self { endpoints, hold_new_models, state: Mutex::new(state), worry: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a round's listings, `None` for each backend that did not answer, in the file's order.
    pub(crate) fn update(&self, round: Vec<Option<Vec<ListedModel>>>) {
        let mut state = self.state();
        for (endpoint, listing) in round.into_iter().enumerate() {
            match listing {
                Some(listing) => self.listed(&mut state, endpoint, listing),
                None => state.missed(endpoint),
            }
        }
        state.named = name_models(&self.endpoints, &state.listings);
    }

    fn listed(&self, state: &mut State, endpoint: usize, listing: Vec<ListedModel>) {
        let is_listed = |id: &ModelId| listing.iter().any(|model| model.id == *id);
        state.failures.retain(|(owner, id), _| *owner != endpoint || is_listed(id));
        let known = std::mem::take(&mut state.listings[endpoint]);
        for model in listing.iter().filter(|model| !known.iter().any(|known| known.id == model.id)) {
            if self.hold_new_models {
                state.failures.insert((endpoint, model.id.clone()), FAILURES_TO_HOLD);
            }
        }
        state.listings[endpoint] = listing;
        state.misses[endpoint] = 0;
    }

    /// Whether a backend missed the last round for the first time, so that it is worth asking again soon.
    pub(crate) fn has_fresh_miss(&self) -> bool {
        self.state().misses.contains(&1)
    }

    /// The models whose backend answers, by name.
    pub(crate) fn offered(&self) -> Vec<RunnerModel> {
        let state = self.state();
        let answering = state.named.values().filter(|route| state.is_healthy(route));
        answering
            .map(|route| RunnerModel {
                model: route.offered.clone(),
                prices: route.prices,
                max_context_tokens: route.max_context_tokens,
            })
            .collect()
    }

    /// Where to send a request for the model, the best first: its own backend, then others that have the same model;
    /// the healthy ones before the others. Empty if no backend has it.
    pub(crate) fn candidates(&self, model: &ModelId) -> Vec<Arc<Route>> {
        let state = self.state();
        let Some(asked) = state.named.get(model) else { return Vec::new() };
        let siblings =
            state.named.values().filter(|route| route.id == asked.id && route.endpoint != asked.endpoint);
        let mut candidates: Vec<Arc<Route>> = std::iter::once(asked).chain(siblings).cloned().collect();
        candidates.sort_by_key(|route| !state.is_healthy(route));
        candidates
    }

    /// The models to be tried: those that are held back or doubted though their backend answers.
    pub(crate) fn to_try(&self) -> Vec<Arc<Route>> {
        let state = self.state();
        let is_in_question = |route: &Route| state.is_held(route) || state.doubted.contains(&route.key());
        let to_try = state.named.values().filter(|route| is_in_question(route) && state.answers(route));
        to_try.cloned().collect()
    }

    /// Waits until a model should be tried before the next round.
    pub(crate) async fn worried(&self) {
        self.worry.notified().await;
    }

    /// Notes that the model answered.
    pub(crate) fn succeeded(&self, route: &Route) {
        let mut state = self.state();
        state.failures.remove(&route.key());
        state.doubted.remove(&route.key());
    }

    /// Notes that the model failed.
    pub(crate) fn failed(&self, route: &Route) {
        let mut state = self.state();
        let failures = state.failures.entry(route.key()).or_default();
        *failures = failures.saturating_add(1);
        if *failures == FAILURES_TO_HOLD {
            tracing::warn!(model = %route.offered, "held back after {FAILURES_TO_HOLD} failures in a row");
            self.worry.notify_one();
        }
    }

    /// Notes that the model may be unable to do what is asked of it, as an embedding model can't chat. That is its
    /// backend's answer to a stranger, who can make it say so: the model is tried before it is held back.
    pub(crate) fn doubt(&self, route: &Route) {
        self.state().doubted.insert(route.key());
        self.worry.notify_one();
    }

    /// Notes that the model failed when it was tried.
    pub(crate) fn failed_when_tried(&self, route: &Route) {
        let mut state = self.state();
        if state.doubted.remove(&route.key()) {
            tracing::warn!(model = %route.offered, "held back, it can't chat");
            state.failures.insert(route.key(), FAILURES_TO_HOLD);
        }
    }
}

impl State {
    fn missed(&mut self, endpoint: usize) {
        self.misses[endpoint] = self.misses[endpoint].saturating_add(1);
        if self.misses[endpoint] >= MISSES_TO_FORGET {
            self.listings[endpoint] = Vec::new();
        }
    }

    fn answers(&self, route: &Route) -> bool {
        self.misses.get(route.endpoint).is_some_and(|&misses| misses < MISSES_TO_WITHDRAW)
    }

    fn is_held(&self, route: &Route) -> bool {
        self.failures.get(&route.key()).is_some_and(|&failures| failures >= FAILURES_TO_HOLD)
    }

    fn is_healthy(&self, route: &Route) -> bool {
        self.answers(route) && !self.is_held(route)
    }
}

impl Route {
    fn key(&self) -> (usize, ModelId) {
        (self.endpoint, self.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::endpoints::Endpoints;

    fn directory(hold_new_models: bool) -> Directory {
        let file = br#"[{"name":"a","url":"http://a"},{"name":"b","url":"http://b"}]"#;
        let endpoints = Endpoints::parse(Path::new("e"), file).unwrap();
        Directory::new(endpoints.iter().cloned().collect(), hold_new_models)
    }

    fn listing(ids: &[&str]) -> Option<Vec<ListedModel>> {
        let listed = |id: &&str| ListedModel { id: id.parse().unwrap(), max_context_tokens: None };
        Some(ids.iter().map(listed).collect())
    }

    fn offered(directory: &Directory) -> Vec<String> {
        directory.offered().into_iter().map(|model| model.model.to_string()).collect()
    }

    #[test]
    fn a_backend_is_forgiven_one_miss_and_then_withdrawn_while_names_stay() {
        let directory = directory(false);
        directory.update(vec![listing(&["m"]), listing(&["m", "x"])]);
        assert_eq!(offered(&directory), ["a/m", "b/m", "x"]);
        directory.update(vec![listing(&["m"]), None]);
        assert!(directory.has_fresh_miss());
        assert_eq!(offered(&directory), ["a/m", "b/m", "x"]);
        directory.update(vec![listing(&["m"]), None]);
        assert_eq!(offered(&directory), ["a/m"]);
        for _ in 2..10 {
            assert_eq!(offered(&directory), ["a/m"]);
            directory.update(vec![listing(&["m"]), None]);
        }
        assert_eq!(offered(&directory), ["m"]);
        directory.update(vec![listing(&["m"]), listing(&["m"])]);
        assert_eq!(offered(&directory), ["a/m", "b/m"]);
    }

    #[test]
    fn a_model_that_fails_three_times_in_a_row_is_held_back_until_it_answers() {
        let directory = directory(false);
        directory.update(vec![listing(&["m", "x"]), None]);
        let route = directory.candidates(&"m".parse().unwrap()).remove(0);
        directory.failed(&route);
        directory.failed(&route);
        directory.succeeded(&route);
        (0..2).for_each(|_| directory.failed(&route));
        assert_eq!(offered(&directory), ["m", "x"]);
        directory.failed(&route);
        assert_eq!(offered(&directory), ["x"]);
        assert_eq!(directory.to_try(), [Arc::clone(&route)]);
        directory.update(vec![listing(&["m", "x"]), None]);
        assert_eq!(offered(&directory), ["x"]);
        directory.succeeded(&route);
        assert_eq!(offered(&directory), ["m", "x"]);
    }

    #[test]
    fn a_healthy_sibling_comes_before_the_backend_that_was_asked_for() {
        let directory = directory(false);
        directory.update(vec![listing(&["m"]), listing(&["m"])]);
        let order = |directory: &Directory| -> Vec<usize> {
            directory.candidates(&"a/m".parse().unwrap()).iter().map(|route| route.endpoint).collect()
        };
        assert_eq!(order(&directory), [0, 1]);
        let first = directory.candidates(&"a/m".parse().unwrap()).remove(0);
        directory.doubt(&first);
        assert_eq!(order(&directory), [0, 1], "a stranger's word alone takes no model off the market");
        directory.failed_when_tried(&first);
        assert_eq!(order(&directory), [1, 0]);
        assert!(directory.candidates(&"m".parse().unwrap()).is_empty());
    }

    #[test]
    fn new_models_wait_for_a_probe_if_the_operator_wants_it() {
        let directory = directory(true);
        directory.update(vec![listing(&["m"]), None]);
        assert!(offered(&directory).is_empty());
        directory.to_try().iter().for_each(|route| directory.succeeded(route));
        directory.update(vec![listing(&["m"]), None]);
        assert_eq!(offered(&directory), ["m"]);
    }
}
