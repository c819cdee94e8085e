//! What is known of each backend and of each of its models.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use t4t_types::ModelId;

use crate::backend::Backend;
use crate::catalogue::{Offer, Route, name_models};
use crate::listing::{ListedModel, Listing};

/// Failures in a row after which a model is held back until it answers a probe.
pub(super) const FAILURES_TO_HOLD: u32 = 3;

/// Rounds in a row that a backend may miss before its models count as away. One miss is forgiven.
const MISSES_TO_AWAY: u32 = 2;

/// Rounds in a row that a backend may miss before its models are no longer offered at all: ten minutes, as rounds come
/// more often meanwhile. Until then they are away, as far as apps know, and names stay what they are: taking a model off
/// the chain and putting it back costs more than a few refusals, and who asks meanwhile is told to come back.
pub(super) const MISSES_TO_FORGET: u32 = 60;

/// What tells a model at a backend from others, over changes of the file.
type Key = (String, ModelId);

/// All that is known.
#[derive(Debug)]
pub(super) struct State {
    /// The backends, in the file's order.
    pub(super) places: Vec<Place>,
    /// The models by name.
    pub(super) named: BTreeMap<ModelId, Offer>,
    /// How each model did.
    standings: HashMap<Key, Standing>,
    /// What was warned of, so that it is said once.
    told: HashSet<(String, String)>,
}

/// A backend and what it last listed.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) backend: Arc<Backend>,
    models: Vec<ListedModel>,
    /// Rounds in a row that it missed.
    pub(super) misses: u32,
}

/// How a model did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Failures in a row.
    pub(super) failures: u32,
    /// Whether a request, which is a stranger's word, showed it in a bad light.
    pub(super) is_doubted: bool,
    /// Whether it was offered or did answer: if it fails it is away, and not unknown.
    pub(super) is_admitted: bool,
    /// Whether it did answer: a request that it refuses says nothing about it.
    pub(super) is_proven: bool,
}

impl Standing {
    pub(super) fn is_held(self) -> bool {
        self.failures >= FAILURES_TO_HOLD
    }

    /// Whether it was neither offered nor tried.
    fn is_new(self) -> bool {
        self.failures == 0 && !self.is_admitted
    }
}

impl Place {
    fn new(backend: Arc<Backend>) -> Self {
        Self { backend, models: Vec::new(), misses: 0 }
    }

    fn is_of(&self, other: &Backend) -> bool {
        self.backend.name() == other.name() && self.backend.endpoint().url == other.endpoint().url
    }
}

impl State {
    pub(super) fn new(backends: Vec<Arc<Backend>>) -> Self {
        Self {
            places: backends.into_iter().map(Place::new).collect(),
            named: BTreeMap::new(),
            standings: HashMap::new(),
            told: HashSet::new(),
        }
    }

    /// Takes other backends in the place of those it had.
    pub(super) fn replace(&mut self, backends: Vec<Arc<Backend>>) {
        let mut places = Vec::with_capacity(backends.len());
        for backend in backends {
            match self.places.iter().find(|place| place.is_of(&backend)) {
                Some(known) => places.push(Place { backend, ..known.clone() }),
                None => {
                    self.retain(|(owner, _)| owner != backend.name());
                    places.push(Place::new(backend));
                }
            }
        }
        self.places = places;
        self.told.clear();
        self.name();
    }

    /// The place of a backend, if it is among them still.
    pub(super) fn place_of(&self, backend: &Arc<Backend>) -> Option<usize> {
        self.places.iter().position(|place| Arc::ptr_eq(&place.backend, backend))
    }

    /// Forgets how the models did that do not stay.
    fn retain(&mut self, stays: impl Fn(&Key) -> bool) {
        self.standings.retain(|key, _| stays(key));
    }

    /// Takes what a backend lists.
    pub(super) fn listed(&mut self, at: usize, listing: Listing, hold_new_models: bool) {
        let backend = Arc::clone(&self.places[at].backend);
        let endpoint = backend.name();
        self.tell(&backend, &listing);
        let is_listed = |id: &ModelId| listing.models.iter().any(|model| model.id == *id);
        self.retain(|(owner, id)| owner != endpoint || is_listed(id));
        for model in &listing.models {
            let standing = self.standings.entry((endpoint.to_owned(), model.id.clone())).or_default();
            match standing.is_new() {
                true if hold_new_models || model.is_doubtful => standing.failures = FAILURES_TO_HOLD,
                true => standing.is_admitted = true,
                false => {}
            }
        }
        let place = &mut self.places[at];
        (place.models, place.misses) = (listing.models, 0);
    }

    /// Says once what the operator should know of a list.
    fn tell(&mut self, backend: &Backend, listing: &Listing) {
        let endpoint = backend.name();
        for (name, reason) in &listing.left_out {
            if self.told.insert((endpoint.to_owned(), name.clone())) {
                tracing::warn!(endpoint, model = name, "a model is not offered: {reason}");
            }
        }
        for warning in backend.endpoint().unknown_models(listing.models.iter().map(|model| &model.id)) {
            if self.told.insert((endpoint.to_owned(), warning.clone())) {
                tracing::warn!(endpoint, "{warning}");
            }
        }
    }

    /// Notes that a backend missed a round.
    pub(super) fn missed(&mut self, at: usize) {
        let place = &mut self.places[at];
        place.misses = place.misses.saturating_add(1);
        if place.misses >= MISSES_TO_FORGET {
            place.models = Vec::new();
        }
    }

    /// Names what the backends have.
    pub(super) fn name(&mut self) {
        let routes: Vec<Arc<Route>> = self.places.iter().flat_map(routes_of).collect();
        self.named = name_models(&routes);
    }

    pub(super) fn standing(&self, route: &Route) -> Standing {
        self.standings.get(&route.key()).copied().unwrap_or_default()
    }

    pub(super) fn standing_mut(&mut self, route: &Route) -> &mut Standing {
        self.standings.entry(route.key()).or_default()
    }

    pub(super) fn answers(&self, route: &Route) -> bool {
        self.place_of(&route.backend).is_some_and(|at| self.places[at].misses < MISSES_TO_AWAY)
    }

    pub(super) fn is_healthy(&self, route: &Route) -> bool {
        self.answers(route) && !self.standing(route).is_held()
    }
}

fn routes_of(place: &Place) -> impl Iterator<Item = Arc<Route>> {
    place.models.iter().map(|model| {
        let terms = place.backend.endpoint().terms_of(&model.id);
        Arc::new(Route {
            backend: Arc::clone(&place.backend),
            model: model.clone(),
            prices: terms.and_then(|terms| terms.prices),
            answers_as: terms.and_then(|terms| terms.answers_as.clone()),
        })
    })
}
