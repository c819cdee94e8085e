//! What the backends have and how they do: the one place that discovery writes and requests read.

mod state;

use std::sync::Arc;

use t4t_api::inference_runner::RunnerModel;
use t4t_panics::Lock;
use t4t_types::ModelId;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::catalogue::{Offer, Route};
use crate::listing::Listing;

use state::{FAILURES_TO_HOLD, MISSES_TO_FORGET, Standing, State};

/// Failures when it is tried after which a model that is held back is no longer offered at all.
const TRIES_TO_FORGET: u32 = 10;

/// The models of all backends.
#[derive(Debug)]
pub(crate) struct Directory {
    hold_new_models: bool,
    state: Lock<State>,
    worry: Notify,
}

impl Directory {
    /// A directory without models; new ones are held back until they answer if `hold_new_models`.
    pub(crate) fn new(backends: Vec<Arc<Backend>>, hold_new_models: bool) -> Self {
        Self { hold_new_models, state: Lock::new(State::new(backends)), worry: Notify::new() }
    }

    /// The backends, in the file's order.
    pub(crate) fn backends(&self) -> Vec<Arc<Backend>> {
        self.state.lock().places.iter().map(|place| Arc::clone(&place.backend)).collect()
    }

    /// Takes other backends in the place of those it had. What is known of one that keeps its name and its address stays.
    pub(crate) fn replace(&self, backends: Vec<Arc<Backend>>) {
        self.state.lock().replace(backends);
    }

    /// Takes a round's listings, `None` for each backend that did not answer. Who is not among the backends any more is
    /// passed over.
    pub(crate) fn update(&self, round: Vec<(Arc<Backend>, Option<Listing>)>) {
        let mut state = self.state.lock();
        for (backend, listing) in round {
            let Some(at) = state.place_of(&backend) else { continue };
            match listing {
                Some(listing) => state.listed(at, listing, self.hold_new_models),
                None => state.missed(at),
            }
        }
        state.name();
    }

    /// Whether a backend missed the last round, so that it is worth asking again soon.
    pub(crate) fn has_missing(&self) -> bool {
        self.state.lock().places.iter().any(|place| (1..MISSES_TO_FORGET).contains(&place.misses))
    }

    /// How many rounds in a row a backend has missed.
    pub(crate) fn misses(&self, backend: &Arc<Backend>) -> u32 {
        let state = self.state.lock();
        state.place_of(backend).map_or(0, |at| state.places[at].misses)
    }

    /// The models by name, those that are away among them.
    pub(crate) fn offered(&self) -> Vec<RunnerModel> {
        let state = self.state.lock();
        let is_admitted = |offer: &Offer| offer.routes.iter().any(|route| state.standing(route).is_admitted);
        let offers = state.named.iter().filter(|(_, offer)| is_admitted(offer));
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
        let state = self.state.lock();
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
        let state = self.state.lock();
        let is_in_question = |route: &Route| {
            let standing = state.standing(route);
            standing.is_held() || standing.is_doubted
        };
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
        let answered = Standing { failures: 0, is_doubted: false, is_admitted: true, is_proven: true };
        *self.state.lock().standing_mut(route) = answered;
    }

    /// Notes that the model failed.
    pub(crate) fn failed(&self, route: &Route) {
        let mut state = self.state.lock();
        let standing = state.standing_mut(route);
        standing.failures = standing.failures.saturating_add(1);
        if standing.failures == FAILURES_TO_HOLD {
            tracing::warn!(endpoint = route.backend.name(), model = %route.model.id, "held back after {FAILURES_TO_HOLD} failures in a row");
            self.worry.notify_one();
        }
    }

    /// Notes that the model refused what is asked of every model, as an embedding model can't chat. That is its backend's
    /// answer to a stranger, who can make it say so: the model is tried before it is held back, and not at all if it
    /// answered before.
    pub(crate) fn doubt(&self, route: &Route) {
        let mut state = self.state.lock();
        let standing = state.standing_mut(route);
        if standing.is_proven {
            return;
        }
        standing.is_doubted = true;
        self.worry.notify_one();
    }

    /// Notes that the model failed when it was tried; `can_not` if its backend answered that it can't do it.
    pub(crate) fn failed_when_tried(&self, route: &Route, can_not: bool) {
        let mut state = self.state.lock();
        let standing = state.standing_mut(route);
        let is_doubted = std::mem::take(&mut standing.is_doubted);
        standing.failures = standing.failures.saturating_add(1);
        if can_not && is_doubted {
            tracing::warn!(endpoint = route.backend.name(), model = %route.model.id, "held back, it can't chat");
            standing.failures = FAILURES_TO_HOLD.max(standing.failures);
        }
        if can_not || standing.failures > FAILURES_TO_HOLD + TRIES_TO_FORGET {
            standing.is_admitted = false;
        }
    }
}

#[cfg(test)]
mod tests;
