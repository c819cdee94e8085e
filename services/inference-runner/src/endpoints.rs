//! The backends as `endpoints.json` names them: where they are, their keys, and prices that the operator set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::{Map, Value};
use t4t_types::{ModelId, TokenPrices, Xbzz};
use url::Url;

/// The longest file taken, in bytes: thousands of models with prices stay below.
const MAX_FILE_BYTES: usize = 4 << 20;

/// What an entry may hold.
const FIELDS: [&str; 6] = ["name", "url", "apiKey", "models", "fetchMedia", "slots"];

/// What a model's entry may hold.
const MODEL_FIELDS: [&str; 3] = ["inputBzz", "outputBzz", "answersAs"];

/// Requests at a time that a backend may be said to take.
const MAX_SLOTS: u64 = 10_000;

/// How many letters a name may differ in to be suggested for another.
const NEAR: usize = 3;

/// Names of fields up to this length are repeated by an error.
const LONGEST_FIELD: usize = 12;

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

/// The backends of one runner, at least one, each with a name of its own.
#[derive(Clone, Debug)]
pub struct Endpoints(Vec<Endpoint>);

/// Why `endpoints.json` can't be used. No text holds a key.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// The file can't be read.
    #[error("can't read {}: create it, for example with [{{\"name\": \"ollama\", \"url\": \"http://127.0.0.1:11434\"}}]", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is too long to be what it should be.
    #[error("{} has {bytes} bytes, at most {MAX_FILE_BYTES} are read", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The file is not JSON.
    #[error("{} is not valid JSON (line {line}, column {column})", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// A value is missing or wrong.
    #[error("{}: {at}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The entry and the field.
        at: String,
        /// What is wrong and what to write.
        problem: String,
    },
}

/// A problem and where it is, before the file's name is known.
struct Problem {
    at: String,
    problem: String,
}

impl Endpoints {
    /// Reads the file. Warns if it holds keys that other users of the machine can read.
    ///
    /// # Errors
    /// [`EndpointsError`] with the file, the entry, the field and what to write.
    pub fn load(path: &Path) -> Result<Self, EndpointsError> {
        let unreadable = |source| EndpointsError::Unreadable { path: path.into(), source };
        let text = std::fs::read(path).map_err(unreadable)?;
        let endpoints = Self::parse(path, &text)?;
        if endpoints.iter().any(|endpoint| endpoint.api_key.is_some()) {
            warn_if_shared(path);
        }
        Ok(endpoints)
    }

    /// Reads the file's text; `path` is named in errors.
    ///
    /// # Errors
    /// The same as [`Self::load`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, EndpointsError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(EndpointsError::TooLong { path: path.into(), bytes: text.len() });
        }
        // Read as plain JSON first: serde's errors about types would quote the value, which may be a key.
        let entries: Value = serde_json::from_slice(text).map_err(|error| EndpointsError::NotJson {
            path: path.into(),
            line: error.line(),
            column: error.column(),
        })?;
        let invalid = |Problem { at, problem }| EndpointsError::Invalid { path: path.into(), at, problem };
        Self::from_json(&entries).map_err(invalid)
    }

    /// The backends, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter()
    }

    /// How many there are; never zero.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many requests all of them take at a time; one that does not say takes `default` where another one says.
    pub fn slots(&self, default: u32) -> u32 {
        if self.0.iter().all(|endpoint| endpoint.slots.is_none()) {
            return default;
        }
        self.0.iter().fold(0, |sum, endpoint| sum.saturating_add(endpoint.slots.unwrap_or(default)))
    }

    fn from_json(entries: &Value) -> Result<Self, Problem> {
        let expected = "expected an array with at least one backend: [{\"name\": …, \"url\": …}]";
        let whole = || Problem { at: "the whole file".into(), problem: expected.into() };
        let entries = entries.as_array().filter(|entries| !entries.is_empty()).ok_or_else(whole)?;
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let endpoint = Entry { number: index + 1, entry }.read()?;
            if endpoints.iter().any(|other| other.name == endpoint.name) {
                let problem =
                    format!("{:?} is the name of an earlier entry; give each its own", endpoint.name);
                return Err(Problem { at: format!("entry {}, field \"name\"", index + 1), problem });
            }
            endpoints.push(endpoint);
        }
        Ok(Self(endpoints))
    }
}

/// One entry while it is read.
struct Entry<'a> {
    number: usize,
    entry: &'a Value,
}

impl Entry<'_> {
    fn read(&self) -> Result<Endpoint, Problem> {
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

#[cfg(unix)]
fn warn_if_shared(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or(0);
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "other users of this machine can read the API keys: chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoints, EndpointsError> {
        Endpoints::parse(Path::new("endpoints.json"), text.as_bytes())
    }

    #[test]
    fn a_file_of_the_reference_is_read() {
        let endpoints = parse(
            r#"[{"name":"gpu-1","url":"http://127.0.0.1:11434","models":{"llama3:8b":{"inputBzz":"0.3","outputBzz":"1.5"}}},
                {"name":"hosted","url":"https://inference.example/v1","apiKey":"sk-secret"}]"#,
        )
        .unwrap();
        let first = endpoints.iter().next().unwrap();
        assert_eq!(first.name, "gpu-1");
        let prices = first.models[&"llama3:8b".parse::<ModelId>().unwrap()].prices.unwrap();
        assert_eq!(prices.input, Xbzz::from_plur(3_000_000_000_000_000));
        assert_eq!(endpoints.len(), 2);
        assert!(!format!("{endpoints:?}").contains("sk-secret"));
    }

    #[test]
    fn each_mistake_is_named_with_its_entry_and_field() {
        let cases = [
            ("{}", "the whole file"),
            ("[]", "at least one backend"),
            ("[1]", "entry 1: expected an object"),
            (r#"[{"name":"","url":"http://a"}]"#, "entry 1, field \"name\""),
            (r#"[{"name":"a/b","url":"http://a"}]"#, "without \"/\""),
            (r#"[{"name":"a","url":"http://a"},{"name":"a","url":"http://b"}]"#, "entry 2, field \"name\""),
            (r#"[{"name":"a","url":"ftp://a"}]"#, "entry 1, field \"url\""),
            (r#"[{"name":"a","url":"http://me:sk-secret@a"}]"#, "write the key as \"apiKey\""),
            (r#"[{"name":"a","url":"http://a?key=1"}]"#, "may not hold"),
            (r#"[{"name":"a","url":"http://a","apiKey":7}]"#, "field \"apiKey\""),
            (r#"[{"name":"a","url":"http://a","apikey":"sk-secret"}]"#, "field \"apikey\": is not known"),
            (r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":0.3}}}]"#, "models.m.inputBzz"),
            (
                r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":"1","outputBzz":"-1"}}}]"#,
                "outputBzz",
            ),
            (
                r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":"1","outputBZZ":"1"}}}]"#,
                "models.m.outputBZZ\": is not known",
            ),
            (r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":"1"}}}]"#, "models.m.outputBzz"),
            (r#"[{"name":"a","url":"http://a","models":{"m":{"answersAs":7}}}]"#, "models.m.answersAs"),
            (r#"[{"name":"a","url":"http://a","models":{"m":7}}]"#, "models.m"),
            (r#"[{"name":"a","url":"http://a","slots":0}]"#, "field \"slots\""),
            ("[{\n,", "line 2"),
        ];
        for (text, part) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("endpoints.json") && error.contains(part), "{text}: {error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
    }

    #[test]
    fn a_name_in_the_wrong_case_is_used_and_told_and_any_other_is_told() {
        let price = r#"{"inputBzz":"2","outputBzz":"3"}"#;
        let file = format!(
            r#"[{{"name":"a","url":"http://a","models":{{"Llama3:8B":{price},"qwen":{price},"mistrall":{price},"zzzzzz":{price},"exact":{price}}}}}]"#
        );
        let endpoints = parse(&file).unwrap();
        let endpoint = endpoints.iter().next().unwrap();
        let listed: Vec<ModelId> =
            ["llama3:8b", "qwen:latest", "mistral", "exact"].iter().map(|id| id.parse().unwrap()).collect();
        let is_priced = |id: &ModelId| endpoint.terms_of(id).is_some_and(|terms| terms.prices.is_some());
        assert_eq!(listed.iter().map(is_priced).collect::<Vec<_>>(), [true, true, false, true]);
        let told = endpoint.unknown_models(&listed);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].contains("lists \"llama3:8b\": write it so"), "{told:?}");
        assert!(told.iter().any(|told| told.contains("did you mean \"mistral\"?")), "{told:?}");
        assert!(
            told.iter().any(|told| told.contains("\"zzzzzz\"") && told.ends_with("is not used")),
            "{told:?}"
        );
    }

    #[test]
    fn a_missing_file_says_what_to_write() {
        let error = Endpoints::load(Path::new("/nowhere/endpoints.json")).unwrap_err();
        assert!(error.to_string().contains("\"url\": \"http://127.0.0.1:11434\""), "{error}");
    }
}
