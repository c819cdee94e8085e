//! One backend and what the operator set for its models.

use std::collections::BTreeMap;

use secrecy::SecretString;
use t4t_types::{ModelId, TokenPrices};
use url::Url;

/// How many letters a name may differ in to be suggested for another.
const NEAR: usize = 3;

/// One OpenAI-compatible backend.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name: what stands before the slash where several backends have a model.
    pub name: String,
    /// Where it is, with or without `/v1` at the end.
    pub url: Url,
    /// The bearer token it asks for. Never shown.
    pub api_key: Option<SecretString>,
    /// What the operator set for its models, by the backend's own names.
    pub models: BTreeMap<ModelId, ModelTerms>,
    /// Whether it may fetch pictures and other media from where a request says they are.
    pub fetches_media: bool,
    /// Requests that it is given at a time; `None` for as many as the runner takes.
    pub slots: Option<u32>,
}

/// What the operator set for one model of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelTerms {
    /// Its prices, per million tokens.
    pub prices: Option<TokenPrices>,
    /// The name in its answers, where that is clearly another one: the backend's name is an alias.
    pub answers_as: Option<String>,
}

impl Endpoint {
    /// What is set for a model that the backend lists under this name: under the same name, or under one that differs in
    /// case or in `:latest` alone.
    pub(crate) fn terms_of(&self, listed: &ModelId) -> Option<&ModelTerms> {
        let nearly =
            || self.models.iter().find(|(named, _)| plain(named) == plain(listed)).map(|(_, terms)| terms);
        self.models.get(listed).or_else(nearly)
    }

    /// What to tell the operator about names that the backend does not list.
    pub fn unknown_models<'a>(&self, listed: impl IntoIterator<Item = &'a ModelId>) -> Vec<String> {
        let listed: Vec<&ModelId> = listed.into_iter().collect();
        let unknown = self.models.keys().filter(|named| !listed.contains(named));
        unknown.map(|named| unknown_model(named, &listed)).collect()
    }
}

fn unknown_model(named: &ModelId, listed: &[&ModelId]) -> String {
    if let Some(meant) = listed.iter().find(|listed| plain(listed) == plain(named)) {
        return format!(
            "endpoints.json names the model {named:?}, and the backend lists {meant:?}: write it so (what is set for it is used)"
        );
    }
    let unused = format!(
        "endpoints.json names the model {named:?}, which the backend does not list: what is set for it is not used"
    );
    let distance = |listed: &ModelId| strsim::damerau_levenshtein(&plain(listed), &plain(named));
    match listed.iter().map(|listed| (distance(listed), listed)).min() {
        Some((distance, nearest)) if distance <= NEAR => format!("{unused}; did you mean {nearest:?}?"),
        _ => unused,
    }
}

/// A model's name without its case and the tag that is meant where there is none.
fn plain(name: &ModelId) -> String {
    let name = name.as_str().to_lowercase();
    name.strip_suffix(":latest").map(str::to_owned).unwrap_or(name)
}
