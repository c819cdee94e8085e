//! One entry of the file.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value};
use t4t_types::{ModelId, TokenPrices, Xbzz};
use url::Url;

use super::endpoint::{Endpoint, ModelTerms};
use super::error::Problem;

/// What an entry may hold.
const FIELDS: [&str; 6] = ["name", "url", "apiKey", "models", "fetchMedia", "slots"];

/// What a model's entry may hold.
const MODEL_FIELDS: [&str; 3] = ["inputBzz", "outputBzz", "answersAs"];

/// Requests at a time that a backend may be said to take.
const MAX_SLOTS: u64 = 10_000;

/// Names of fields up to this length are repeated by an error.
const LONGEST_FIELD: usize = 12;

/// One entry while it is read.
pub(super) struct Entry<'a> {
    pub(super) number: usize,
    pub(super) entry: &'a Value,
}

impl Entry<'_> {
    pub(super) fn read(&self) -> Result<Endpoint, Problem> {
        let fields = self.entry.as_object().ok_or_else(|| Problem {
            at: format!("entry {}", self.number),
            problem: "expected an object with \"name\" and \"url\"".into(),
        })?;
        if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            // A slip can put a key where a field's name belongs: what looks like no name is not repeated.
            let is_word = unknown.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            let shown = if is_word && unknown.len() <= LONGEST_FIELD { unknown } else { "…" };
            return Err(self.problem(
                shown,
                "is not known; the fields are name, url, apiKey, models, fetchMedia and slots",
            ));
        }
        Ok(Endpoint {
            name: self.name(fields)?,
            url: self.url(fields)?,
            api_key: self.api_key(fields)?,
            models: self.models(fields)?,
            fetches_media: self.fetches_media(fields)?,
            slots: self.slots(fields)?,
        })
    }

    fn problem(&self, field: &str, problem: &str) -> Problem {
        Problem { at: format!("entry {}, field {field:?}", self.number), problem: problem.into() }
    }

    fn name(&self, fields: &Map<String, Value>) -> Result<String, Problem> {
        let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
        let fits = !name.is_empty() && !name.contains('/') && name.parse::<ModelId>().is_ok();
        fits.then(|| name.to_owned())
            .ok_or_else(|| self.problem("name", "expected a text without \"/\", for example \"ollama\""))
    }

    fn url(&self, fields: &Map<String, Value>) -> Result<Url, Problem> {
        let example = "expected an address such as \"http://127.0.0.1:11434\"";
        let url = fields.get("url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| self.problem("url", example))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(self.problem("url", example));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.problem("url", "holds a user or password; write the key as \"apiKey\""));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.problem("url", "may not hold \"?\" or \"#\""));
        }
        Ok(url)
    }

    fn api_key(&self, fields: &Map<String, Value>) -> Result<Option<SecretString>, Problem> {
        let problem =
            "expected a text of visible characters; leave the field out if the backend asks for no key";
        match fields.get("apiKey") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(key))
                if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ok(Some(key.clone().into()))
            }
            Some(_) => Err(self.problem("apiKey", problem)),
        }
    }

    fn fetches_media(&self, fields: &Map<String, Value>) -> Result<bool, Problem> {
        match fields.get("fetchMedia") {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(fetches)) => Ok(*fetches),
            Some(_) => Err(self.problem("fetchMedia", "expected true or false")),
        }
    }

    fn slots(&self, fields: &Map<String, Value>) -> Result<Option<u32>, Problem> {
        let problem =
            || self.problem("slots", "expected how many requests it takes at a time, for example 4");
        match fields.get("slots") {
            None | Some(Value::Null) => Ok(None),
            Some(slots) => {
                let slots =
                    slots.as_u64().filter(|slots| (1..=MAX_SLOTS).contains(slots)).ok_or_else(problem)?;
                u32::try_from(slots).map(Some).map_err(|_| problem())
            }
        }
    }

    fn models(&self, fields: &Map<String, Value>) -> Result<BTreeMap<ModelId, ModelTerms>, Problem> {
        let models = match fields.get("models") {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(models) => models,
        };
        let example = "expected {\"<model>\": {\"inputBzz\": \"0.3\", \"outputBzz\": \"1.5\"}}";
        let models = models.as_object().ok_or_else(|| self.problem("models", example))?;
        models.iter().map(|(model, terms)| self.model(model, terms)).collect()
    }

    fn model(&self, model: &str, terms: &Value) -> Result<(ModelId, ModelTerms), Problem> {
        let at = |field: &str| format!("models.{model}.{field}");
        let id =
            model.parse().map_err(|error| self.problem(&format!("models.{model}"), &format!("{error}")))?;
        let example = "expected an object such as {\"inputBzz\": \"0.3\", \"outputBzz\": \"1.5\"}";
        let fields = terms.as_object().ok_or_else(|| self.problem(&format!("models.{model}"), example))?;
        if let Some(unknown) = fields.keys().find(|field| !MODEL_FIELDS.contains(&field.as_str())) {
            let problem = "is not known; the fields are inputBzz, outputBzz and answersAs";
            return Err(self.problem(&at(unknown), problem));
        }
        let amount = |field: &str| {
            let text = fields.get(field).and_then(Value::as_str).ok_or_else(|| {
                self.problem(&at(field), "expected xBZZ per million tokens as a text, for example \"0.3\"")
            })?;
            text.parse::<Xbzz>().map_err(|error| self.problem(&at(field), &error.to_string()))
        };
        let has_prices = fields.contains_key("inputBzz") || fields.contains_key("outputBzz");
        let prices = match has_prices || fields.is_empty() {
            true => Some(TokenPrices { input: amount("inputBzz")?, output: amount("outputBzz")? }),
            false => None,
        };
        let answers_as = match fields.get("answersAs") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
            Some(_) => {
                return Err(
                    self.problem(&at("answersAs"), "expected the model's name in the backend's answers")
                );
            }
        };
        Ok((id, ModelTerms { prices, answers_as }))
    }
}
