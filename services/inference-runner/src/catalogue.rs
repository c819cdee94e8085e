//! How models are named: the reference's rule for the models of several backends, and the plain name for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use t4t_types::{ModelId, TokenPrices};

use crate::backend::Backend;
use crate::listing::ListedModel;

/// A model at one backend.
#[derive(Debug)]
pub(crate) struct Route {
    /// The backend that has it.
    pub(crate) backend: Arc<Backend>,
    /// How the backend lists it.
    pub(crate) model: ListedModel,
    /// Its prices where the operator set them.
    pub(crate) prices: Option<TokenPrices>,
    /// The name it answers with, where the operator says that this is another one.
    pub(crate) answers_as: Option<String>,
}

impl Route {
    /// What tells it from others, also over a change of the file.
    pub(crate) fn key(&self) -> (String, ModelId) {
        (self.backend.name().to_owned(), self.model.id.clone())
    }
}

/// What is offered under one name.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// Where the model is.
    pub(crate) routes: Vec<Arc<Route>>,
    /// Whether the first is meant before the others, which only stand in for it.
    pub(crate) prefers_first: bool,
}

impl Offer {
    /// The prices under this name: none of the backends is sold below its own.
    pub(crate) fn prices(&self) -> Option<TokenPrices> {
        let own = if self.prefers_first { &self.routes[..1] } else { &self.routes[..] };
        own.iter().filter_map(|route| route.prices).reduce(|one, other| TokenPrices {
            input: one.input.max(other.input),
            output: one.output.max(other.output),
        })
    }

    /// The context that all of them have; unknown if one is.
    pub(crate) fn max_context_tokens(&self) -> Option<u64> {
        let contexts: Option<Vec<u64>> =
            self.routes.iter().map(|route| route.model.max_context_tokens).collect();
        contexts?.into_iter().min()
    }
}

/// Names all models: one that a single backend has keeps its own name; one that several have is offered once under its
/// own name, at whichever of them is free, and once for each as `<endpoint>/<model>`. Of two that come to the same
/// name the first wins, and plain names come before the others.
pub(crate) fn name_models(routes: &[Arc<Route>]) -> BTreeMap<ModelId, Offer> {
    let mut named: BTreeMap<ModelId, Offer> = BTreeMap::new();
    for route in routes {
        let offer = named.entry(route.model.id.clone());
        let offer = offer.or_insert_with(|| Offer { routes: Vec::new(), prefers_first: false });
        if !offer.routes.iter().any(|known| known.backend.name() == route.backend.name()) {
            offer.routes.push(Arc::clone(route));
        }
    }
    let shared: Vec<Vec<Arc<Route>>> =
        named.values().filter(|offer| offer.routes.len() > 1).map(|offer| offer.routes.clone()).collect();
    for routes in shared {
        for first in 0..routes.len() {
            let route = &routes[first];
            let Ok(name) = format!("{}/{}", route.backend.name(), route.model.id).parse::<ModelId>() else {
                continue;
            };
            if name.as_str().len() > ModelId::MAX_OFFERED_BYTES {
                continue;
            }
            let mut routes = routes.clone();
            routes[..=first].rotate_right(1);
            named.entry(name).or_insert(Offer { routes, prefers_first: true });
        }
    }
    named
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;
    use std::time::Duration;

    use serde_json::{Value, json};
    use t4t_clock::SystemClock;

    use super::*;
    use crate::endpoints::Endpoints;
    use crate::listing::listing_of;

    /// Backends of these names.
    pub(crate) fn backends(names: &[&str]) -> Vec<Arc<Backend>> {
        let entries: Value =
            names.iter().map(|name| json!({"name": name, "url": "http://127.0.0.1"})).collect();
        let endpoints = Endpoints::parse(Path::new("e"), entries.to_string().as_bytes()).unwrap();
        let backend = |endpoint| {
            Backend::new(endpoint, Duration::from_secs(1), SystemClock::shared()).map(Arc::new).unwrap()
        };
        endpoints.iter().cloned().map(backend).collect()
    }

    /// Models of these names.
    pub(crate) fn models(ids: &[&str]) -> Vec<ListedModel> {
        let entries: Value = ids.iter().map(|id| json!({ "id": id })).collect();
        listing_of(&json!({ "data": entries })).models
    }

    fn route(backend: &Arc<Backend>, model: ListedModel, prices: Option<TokenPrices>) -> Arc<Route> {
        Arc::new(Route { backend: Arc::clone(backend), model, prices, answers_as: None })
    }

    fn names(listings: &[(&str, &[&str])]) -> Vec<(String, String)> {
        let names: Vec<&str> = listings.iter().map(|(name, _)| *name).collect();
        let backends = backends(&names);
        let listed = backends.iter().zip(listings);
        let routes: Vec<_> = listed
            .flat_map(|(backend, (_, ids))| {
                models(ids).into_iter().map(move |model| route(backend, model, None))
            })
            .collect();
        let where_to = |offer: Offer| -> Vec<String> {
            offer.routes.iter().map(|route| format!("{}:{}", route.backend.name(), route.model.id)).collect()
        };
        name_models(&routes)
            .into_iter()
            .map(|(name, offer)| (name.to_string(), where_to(offer).join(" ")))
            .collect()
    }

    fn named(name: &str, routes: &str) -> (String, String) {
        (name.into(), routes.into())
    }

    #[test]
    fn a_model_of_several_backends_is_one_offer_and_one_for_each() {
        let expected = [
            named("a/m", "a:m b:m"),
            named("b/m", "b:m a:m"),
            named("m", "a:m b:m"),
            named("x", "a:x"),
            named("y", "b:y"),
        ];
        assert_eq!(names(&[("a", &["m", "x"]), ("b", &["y", "m"])]), expected);
    }

    #[test]
    fn a_model_listed_twice_by_one_backend_is_one_model() {
        assert_eq!(names(&[("a", &["m", "m"])]), [named("m", "a:m")]);
    }

    #[test]
    fn of_two_models_that_come_to_one_name_the_plain_one_wins() {
        let names = names(&[("a", &["b/m"]), ("b", &["m"]), ("c", &["m"])]);
        assert_eq!(names, [named("b/m", "a:b/m"), named("c/m", "c:m b:m"), named("m", "b:m c:m")]);
    }

    #[test]
    fn a_name_that_gets_too_long_is_offered_without_the_endpoints() {
        let long = "x".repeat(ModelId::MAX_OFFERED_BYTES);
        assert_eq!(names(&[("a", &[&long]), ("b", &[&long])]), [named(&long, &format!("a:{long} b:{long}"))]);
    }

    #[test]
    fn under_the_shared_name_nobody_is_sold_below_its_price_or_above_its_context() {
        let backends = backends(&["a", "b"]);
        let price = |input: u128, output: u128| {
            Some(TokenPrices {
                input: t4t_types::Xbzz::from_plur(input),
                output: t4t_types::Xbzz::from_plur(output),
            })
        };
        let model = |context| ListedModel { max_context_tokens: context, ..models(&["m"]).remove(0) };
        let routes = [
            route(&backends[0], model(Some(9)), price(1, 5)),
            route(&backends[1], model(Some(7)), price(2, 3)),
        ];
        let named = name_models(&routes);
        let offer = |name: &str| &named[&name.parse::<ModelId>().unwrap()];
        assert_eq!((offer("m").prices(), offer("m").max_context_tokens()), (price(2, 5), Some(7)));
        assert_eq!(offer("b/m").prices(), price(2, 3));
        let routes = [route(&backends[0], model(Some(9)), None), route(&backends[1], model(None), None)];
        let offer = name_models(&routes).remove(&"m".parse::<ModelId>().unwrap()).unwrap();
        assert_eq!((offer.prices(), offer.max_context_tokens()), (None, None));
    }
}
