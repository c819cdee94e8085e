//! What the backends have and how they do: the one place that discovery writes and requests read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use t4t_api::inference_runner::RunnerModel;
use t4t_types::ModelId;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::catalogue::{Offer, Route, name_models};
use crate::listing::{ListedModel, Listing};

/// Failures in a row after which a model is held back until it answers a probe.
const FAILURES_TO_HOLD: u32 = 3;

/// Rounds in a row that a backend may miss before its models count as away. One miss is forgiven.
const MISSES_TO_AWAY: u32 = 2;

/// Rounds in a row that a backend may miss before its models are no longer offered at all: ten minutes, as rounds come
/// more often meanwhile. Until then they are away, as far as apps know, and names stay what they are: taking a model off
/// the chain and putting it back costs more than a few refusals, and who asks meanwhile is told to come back.
const MISSES_TO_FORGET: u32 = 60;

/// The same for a model that fails when it is tried.
const TRIES_TO_FORGET: u32 = 10;

/// What tells a model at a backend from others, over changes of the file.
type Key = (String, ModelId);

/// The models of all backends.
#[derive(Debug)]
pub(crate) struct Directory {
    hold_new_models: bool,
    state: Mutex<State>,
    worry: Notify,
}

#[derive(Debug)]
struct State {
    backends: Vec<Arc<Backend>>,
    listings: Vec<Vec<ListedModel>>,
    misses: Vec<u32>,
    named: BTreeMap<ModelId, Offer>,
    failures: HashMap<Key, u32>,
    /// Models that a request, which is a stranger's word, showed in a bad light.
    doubted: HashSet<Key>,
    /// Models that were offered or did answer: what fails among them is away, and not unknown.
    admitted: HashSet<Key>,
    /// Models that did answer: a request that they refuse says nothing about them.
    proven: HashSet<Key>,
    /// What was warned of, so that it is said once.
    told: HashSet<(String, String)>,
}

impl Directory {
    /// A directory without models; new ones are held back until they answer if `hold_new_models`.
    pub(crate) fn new(backends: Vec<Arc<Backend>>, hold_new_models: bool) -> Self {
        let state = State {
            listings: vec![Vec::new(); backends.len()],
            misses: vec![0; backends.len()],
            backends,
            named: BTreeMap::new(),
            failures: HashMap::new(),
            doubted: HashSet::new(),
            admitted: HashSet::new(),
            proven: HashSet::new(),
            told: HashSet::new(),
        };
        Self { hold_new_models, state: Mutex::new(state), worry: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backends, in the file's order.
    pub(crate) fn backends(&self) -> Vec<Arc<Backend>> {
        self.state().backends.clone()
    }

    /// Takes other backends in the place of those it had. What is known of one that keeps its name and its address stays.
    pub(crate) fn replace(&self, backends: Vec<Arc<Backend>>) {
        let mut state = self.state();
        let is_same = |old: &Backend, new: &Backend| {
            old.name() == new.name() && old.endpoint().url == new.endpoint().url
        };
        let (mut listings, mut misses) = (Vec::new(), Vec::new());
        for backend in &backends {
            let known = state.backends.iter().position(|old| is_same(old, backend));
            listings.push(known.map(|at| state.listings[at].clone()).unwrap_or_default());
            misses.push(known.map_or(0, |at| state.misses[at]));
            if known.is_none() {
                state.forget(backend.name());
            }
        }
        (state.backends, state.listings, state.misses) = (backends, listings, misses);
        state.told.clear();
        state.name();
    }

    /// Takes a round's listings, `None` for each backend that did not answer. Who is not among the backends any more is
    /// passed over.
    pub(crate) fn update(&self, round: Vec<(Arc<Backend>, Option<Listing>)>) {
        let mut state = self.state();
        for (backend, listing) in round {
            let Some(at) = state.backends.iter().position(|known| Arc::ptr_eq(known, &backend)) else {
                continue;
            };
            match listing {
                Some(listing) => self.listed(&mut state, at, listing),
                None => state.missed(at),
            }
        }
        state.name();
    }

    fn listed(&self, state: &mut State, at: usize, listing: Listing) {
        let backend = Arc::clone(&state.backends[at]);
        let endpoint = backend.name();
        for (name, reason) in &listing.left_out {
            if state.told.insert((endpoint.to_owned(), name.clone())) {
                tracing::warn!(endpoint, model = name, "a model is not offered: {reason}");
            }
        }
        for warning in backend.endpoint().unknown_models(listing.models.iter().map(|model| &model.id)) {
            if state.told.insert((endpoint.to_owned(), warning.clone())) {
                tracing::warn!(endpoint, "{warning}");
            }
        }
        let is_listed = |id: &ModelId| listing.models.iter().any(|model| model.id == *id);
        let stays = |(owner, id): &Key| owner != endpoint || is_listed(id);
        state.failures.retain(|key, _| stays(key));
        state.admitted.retain(stays);
        state.proven.retain(stays);
        for model in &listing.models {
            let key = (endpoint.to_owned(), model.id.clone());
            if state.admitted.contains(&key) || state.failures.contains_key(&key) {
                continue;
            }
            if self.hold_new_models || model.is_doubtful {
                state.failures.insert(key, FAILURES_TO_HOLD);
            } else {
                state.admitted.insert(key);
            }
        }
        state.listings[at] = listing.models;
        state.misses[at] = 0;
    }

    /// Whether a backend missed the last round, so that it is worth asking again soon.
    pub(crate) fn has_missing(&self) -> bool {
        self.state().misses.iter().any(|&misses| (1..MISSES_TO_FORGET).contains(&misses))
    }

    /// How many rounds in a row a backend has missed.
    pub(crate) fn misses(&self, backend: &Arc<Backend>) -> u32 {
        let state = self.state();
        let at = state.backends.iter().position(|known| Arc::ptr_eq(known, backend));
        at.map_or(0, |at| state.misses[at])
    }

    /// The models by name, those that are away among them.
    pub(crate) fn offered(&self) -> Vec<RunnerModel> {
        let state = self.state();
        let offers =
            state.named.iter().filter(|(_, offer)| offer.routes.iter().any(|route| state.is_admitted(route)));
        offers
            .map(|(name, offer)| RunnerModel {
                model: name.clone(),
                prices: offer.prices(),
                max_context_tokens: offer.max_context_tokens(),
                away: !offer.routes.iter().any(|route| state.is_healthy(route)),
            })
            .collect()
    }

    /// Where to send a request for the model, the best first: healthy ones before the others; the one that is meant by
    /// its name before those that stand in for it; else whoever has a free slot, the least busy first. Empty if no
    /// backend has it.
    pub(crate) fn candidates(&self, model: &ModelId) -> Vec<Arc<Route>> {
        let state = self.state();
        let Some(offer) = state.named.get(model) else { return Vec::new() };
        let mut candidates: Vec<Arc<Route>> = offer.routes.clone();
        candidates.sort_by_key(|route| {
            let load = if offer.prefers_first { 0 } else { route.backend.load() };
            (!state.is_healthy(route), route.backend.is_full(), load)
        });
        candidates
    }

    /// The models to be tried: those that are held back or doubted though their backend answers.
    pub(crate) fn to_try(&self) -> Vec<Arc<Route>> {
        let state = self.state();
        let is_in_question = |route: &Route| state.is_held(route) || state.doubted.contains(&route.key());
        let mut to_try: Vec<Arc<Route>> = Vec::new();
        for route in state.named.values().filter(|offer| !offer.prefers_first).flat_map(|offer| &offer.routes)
        {
            if is_in_question(route) && state.answers(route) {
                to_try.push(Arc::clone(route));
            }
        }
        to_try
    }

    /// Waits until a model should be tried before the next round.
    pub(crate) async fn worried(&self) {
        self.worry.notified().await;
    }

    /// Notes that the model answered.
    pub(crate) fn succeeded(&self, route: &Route) {
        let mut state = self.state();
        let key = route.key();
        state.failures.remove(&key);
        state.doubted.remove(&key);
        state.admitted.insert(key.clone());
        state.proven.insert(key);
    }

    /// Notes that the model failed.
    pub(crate) fn failed(&self, route: &Route) {
        let mut state = self.state();
        let failures = state.failures.entry(route.key()).or_default();
        *failures = failures.saturating_add(1);
        if *failures == FAILURES_TO_HOLD {
            tracing::warn!(endpoint = route.backend.name(), model = %route.model.id, "held back after {FAILURES_TO_HOLD} failures in a row");
            self.worry.notify_one();
        }
    }

    /// Notes that the model refused what is asked of every model, as an embedding model can't chat. That is its backend's
    /// answer to a stranger, who can make it say so: the model is tried before it is held back, and not at all if it
    /// answered before.
    pub(crate) fn doubt(&self, route: &Route) {
        let mut state = self.state();
        if state.proven.contains(&route.key()) {
            return;
        }
        state.doubted.insert(route.key());
        self.worry.notify_one();
    }

    /// Notes that the model failed when it was tried; `can_not` if its backend answered that it can't do it.
    pub(crate) fn failed_when_tried(&self, route: &Route, can_not: bool) {
        let mut state = self.state();
        let key = route.key();
        let is_doubted = state.doubted.remove(&key);
        let failures = state.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        if can_not && is_doubted {
            tracing::warn!(endpoint = route.backend.name(), model = %route.model.id, "held back, it can't chat");
            *failures = FAILURES_TO_HOLD.max(*failures);
        }
        if can_not || *failures > FAILURES_TO_HOLD + TRIES_TO_FORGET {
            state.admitted.remove(&key);
        }
    }
}

impl State {
    fn missed(&mut self, at: usize) {
        self.misses[at] = self.misses[at].saturating_add(1);
        if self.misses[at] >= MISSES_TO_FORGET {
            self.listings[at] = Vec::new();
        }
    }

    fn forget(&mut self, endpoint: &str) {
        let stays = |(owner, _): &Key| owner != endpoint;
        self.failures.retain(|key, _| stays(key));
        self.doubted.retain(stays);
        self.admitted.retain(stays);
        self.proven.retain(stays);
    }

    /// Names what the backends have.
    fn name(&mut self) {
        let listed = self.backends.iter().zip(&self.listings);
        let routes: Vec<Arc<Route>> = listed
            .flat_map(|(backend, models)| {
                models.iter().map(|model| {
                    let terms = backend.endpoint().terms_of(&model.id);
                    Arc::new(Route {
                        backend: Arc::clone(backend),
                        model: model.clone(),
                        prices: terms.and_then(|terms| terms.prices),
                        answers_as: terms.and_then(|terms| terms.answers_as.clone()),
                    })
                })
            })
            .collect();
        self.named = name_models(&routes);
    }

    fn answers(&self, route: &Route) -> bool {
        let at = self.backends.iter().position(|backend| Arc::ptr_eq(backend, &route.backend));
        at.is_some_and(|at| self.misses[at] < MISSES_TO_AWAY)
    }

    fn is_held(&self, route: &Route) -> bool {
        self.failures.get(&route.key()).is_some_and(|&failures| failures >= FAILURES_TO_HOLD)
    }

    fn is_healthy(&self, route: &Route) -> bool {
        self.answers(route) && !self.is_held(route)
    }

    fn is_admitted(&self, route: &Route) -> bool {
        self.admitted.contains(&route.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::{backends, models};

    fn directory(hold_new_models: bool) -> Directory {
        Directory::new(backends(&["a", "b"]), hold_new_models)
    }

    /// A round in which the backends list these.
    fn update(directory: &Directory, listings: [Option<&[&str]>; 2]) {
        let listing = |ids: &[&str]| Listing { models: models(ids), left_out: Vec::new() };
        let round = directory.backends().into_iter().zip(listings);
        directory.update(round.map(|(backend, ids)| (backend, ids.map(listing))).collect());
    }

    /// The names on offer, those that are away in brackets.
    fn offered(directory: &Directory) -> Vec<String> {
        let shown = |model: RunnerModel| {
            if model.away { format!("({})", model.model) } else { model.model.to_string() }
        };
        directory.offered().into_iter().map(shown).collect()
    }

    fn first(directory: &Directory, name: &str) -> Arc<Route> {
        directory.candidates(&name.parse().unwrap()).remove(0)
    }

    #[test]
    fn a_backend_that_blinks_is_away_and_its_models_stay_on_offer_for_a_while() {
        let directory = directory(false);
        update(&directory, [Some(&["m"]), Some(&["m", "x"])]);
        assert_eq!(offered(&directory), ["a/m", "b/m", "m", "x"]);
        update(&directory, [Some(&["m"]), None]);
        assert!(directory.has_missing());
        assert_eq!(offered(&directory), ["a/m", "b/m", "m", "x"], "one miss is forgiven");
        for _ in 2..MISSES_TO_FORGET {
            update(&directory, [Some(&["m"]), None]);
            assert_eq!(offered(&directory), ["a/m", "b/m", "m", "(x)"]);
        }
        update(&directory, [Some(&["m"]), None]);
        assert_eq!(offered(&directory), ["m"], "gone for good");
        update(&directory, [Some(&["m"]), Some(&["m"])]);
        assert_eq!(offered(&directory), ["a/m", "b/m", "m"]);
    }

    #[test]
    fn a_model_that_fails_three_times_in_a_row_is_away_until_it_answers() {
        let directory = directory(false);
        update(&directory, [Some(&["m", "x"]), None]);
        let route = first(&directory, "m");
        directory.failed(&route);
        directory.failed(&route);
        directory.succeeded(&route);
        (0..2).for_each(|_| directory.failed(&route));
        assert_eq!(offered(&directory), ["m", "x"]);
        directory.failed(&route);
        assert_eq!(offered(&directory), ["(m)", "x"]);
        assert!(Arc::ptr_eq(&directory.to_try()[0], &route) && directory.to_try().len() == 1);
        update(&directory, [Some(&["m", "x"]), None]);
        assert_eq!(offered(&directory), ["(m)", "x"]);
        for _ in 0..=TRIES_TO_FORGET {
            directory.failed_when_tried(&route, false);
        }
        assert_eq!(offered(&directory), ["x"], "for too long");
        directory.succeeded(&route);
        assert_eq!(offered(&directory), ["m", "x"]);
    }

    #[test]
    fn a_healthy_sibling_comes_before_the_backend_that_was_asked_for() {
        let directory = directory(false);
        update(&directory, [Some(&["m"]), Some(&["m"])]);
        let order = |name: &str| -> Vec<String> {
            let candidates = directory.candidates(&name.parse().unwrap());
            candidates.iter().map(|route| route.backend.name().to_owned()).collect()
        };
        assert_eq!(order("a/m"), ["a", "b"]);
        assert_eq!(order("b/m"), ["b", "a"]);
        let asked = first(&directory, "a/m");
        directory.doubt(&asked);
        assert_eq!(order("a/m"), ["a", "b"], "a stranger's word alone takes no model off the market");
        directory.failed_when_tried(&asked, true);
        assert_eq!(order("a/m"), ["b", "a"]);
    }

    #[test]
    fn under_the_plain_name_the_least_busy_backend_comes_first() {
        let directory = directory(false);
        update(&directory, [Some(&["m"]), Some(&["m"])]);
        let begin = |name: &str| first(&directory, name).backend.clone();
        let (one, two) = (begin("m"), begin("a/m"));
        assert_eq!((one.name(), two.name()), ("a", "a"));
        let _first = one.begin();
        assert_eq!((begin("m").name(), begin("a/m").name()), ("b", "a"));
        let other = begin("m");
        let (_second, _third) = (other.begin(), other.begin());
        assert_eq!(begin("m").name(), "a");
    }

    #[test]
    fn who_answered_before_is_not_doubted_for_a_request_it_refuses() {
        let directory = directory(false);
        update(&directory, [Some(&["m"]), None]);
        let route = first(&directory, "m");
        directory.doubt(&route);
        assert_eq!(directory.to_try().len(), 1);
        directory.succeeded(&route);
        directory.doubt(&route);
        assert!(directory.to_try().is_empty());
    }

    #[test]
    fn new_models_wait_for_a_probe_if_the_operator_wants_it_or_their_names_are_doubtful() {
        let directory = self::directory(true);
        update(&directory, [Some(&["m"]), None]);
        assert!(offered(&directory).is_empty());
        directory.to_try().iter().for_each(|route| directory.succeeded(route));
        update(&directory, [Some(&["m"]), None]);
        assert_eq!(offered(&directory), ["m"]);
        let directory = self::directory(false);
        update(&directory, [Some(&["m", "nomic-embed-text"]), None]);
        assert_eq!(offered(&directory), ["m"]);
        directory.to_try().iter().for_each(|route| directory.failed_when_tried(route, true));
        update(&directory, [Some(&["m", "nomic-embed-text"]), None]);
        assert_eq!(offered(&directory), ["m"]);
    }

    #[test]
    fn another_file_keeps_what_is_known_of_backends_that_stay() {
        let directory = directory(false);
        update(&directory, [Some(&["m"]), Some(&["x"])]);
        directory.replace(backends(&["b", "c"]));
        assert_eq!(offered(&directory), ["x"]);
    }
}
