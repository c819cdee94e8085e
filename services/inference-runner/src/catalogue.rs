//! How models are named: the reference's rule, and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use t4t_types::{ModelId, TokenPrices};

use crate::endpoints::Endpoint;

/// A model as a backend lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedModel {
    /// The backend's own name for it.
    pub(crate) id: ModelId,
    /// Its longest context in tokens, where the backend tells.
    pub(crate) max_context_tokens: Option<u64>,
}

/// Where an offered model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The name it is offered under.
    pub(crate) offered: ModelId,
    /// Which backend has it, by its place in the file.
    pub(crate) endpoint: usize,
    /// The backend's own name for it.
    pub(crate) id: ModelId,
    /// Its prices where the operator set them.
    pub(crate) prices: Option<TokenPrices>,
    /// Its longest context in tokens, where the backend tells.
    pub(crate) max_context_tokens: Option<u64>,
}

/// Names all models: one that a single backend has keeps its own name, one that several have is offered once for each
/// as `<endpoint>/<model>`. Of two that come to the same name the first wins.
pub(crate) fn name_models(
    endpoints: &[Endpoint],
    listings: &[Vec<ListedModel>],
) -> BTreeMap<ModelId, Arc<Route>> {
    let mut owners: HashMap<&ModelId, Vec<usize>> = HashMap::new();
    for (endpoint, listing) in listings.iter().enumerate() {
        for model in listing {
            let owners = owners.entry(&model.id).or_default();
            if owners.last() != Some(&endpoint) {
                owners.push(endpoint);
            }
        }
    }
    let mut named = BTreeMap::new();
    for (endpoint, (owner, listing)) in endpoints.iter().zip(listings).enumerate() {
        for model in listing {
            let is_shared = owners.get(&model.id).is_some_and(|owners| owners.len() > 1);
            let Some(offered) = offered_name(owner, model, is_shared) else { continue };
            named.entry(offered.clone()).or_insert_with(|| {
                Arc::new(Route {
                    offered,
                    endpoint,
                    id: model.id.clone(),
                    prices: owner.prices.get(&model.id).copied(),
                    max_context_tokens: model.max_context_tokens,
                })
            });
        }
    }
    named
}

fn offered_name(owner: &Endpoint, model: &ListedModel, is_shared: bool) -> Option<ModelId> {
    if !is_shared {
        return Some(model.id.clone());
    }
    let name = format!("{}/{}", owner.name, model.id).parse();
    if name.is_err() {
        tracing::warn!(endpoint = owner.name, model = %model.id, "not offered, its name with the endpoint's is too long");
    }
    name.ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::endpoints::Endpoints;

    fn names(listings: &[(&str, &[&str])]) -> Vec<(String, usize, String)> {
        let entries: Vec<String> = listings
            .iter()
            .map(|(name, _)| format!("{{\"name\":\"{name}\",\"url\":\"http://127.0.0.1\"}}"))
            .collect();
        let file = format!("[{}]", entries.join(","));
        let endpoints = Endpoints::parse(Path::new("e"), file.as_bytes()).unwrap();
        let listed = |id: &&str| ListedModel { id: id.parse().unwrap(), max_context_tokens: None };
        let listings: Vec<Vec<ListedModel>> =
            listings.iter().map(|(_, ids)| ids.iter().map(listed).collect()).collect();
        let named = name_models(&endpoints.iter().cloned().collect::<Vec<_>>(), &listings);
        named
            .into_iter()
            .map(|(name, route)| (name.to_string(), route.endpoint, route.id.to_string()))
            .collect()
    }

    fn named(name: &str, endpoint: usize, id: &str) -> (String, usize, String) {
        (name.into(), endpoint, id.into())
    }

    #[test]
    fn a_model_of_one_backend_keeps_its_name_and_one_of_several_gets_theirs() {
        let expected = [named("a/m", 0, "m"), named("b/m", 1, "m"), named("x", 0, "x"), named("y", 1, "y")];
        assert_eq!(names(&[("a", &["m", "x"]), ("b", &["y", "m"])]), expected);
    }

    #[test]
    fn a_model_listed_twice_by_one_backend_is_one_model() {
        assert_eq!(names(&[("a", &["m", "m"])]), [named("m", 0, "m")]);
    }

    #[test]
    fn of_two_models_that_come_to_one_name_the_first_wins() {
        let names = names(&[("a", &["b/m"]), ("b", &["m"]), ("c", &["m"])]);
        assert_eq!(names, [named("b/m", 0, "b/m"), named("c/m", 2, "m")]);
    }

    #[test]
    fn a_name_that_gets_too_long_is_not_offered() {
        let long = "x".repeat(ModelId::MAX_BYTES);
        assert_eq!(names(&[("a", &[&long]), ("b", &[&long])]), []);
    }
}
