//! Where settings come from: the file, the environment and the command's flags, each as one layer.

use std::path::Path;

use config::{Map, Source, Value, ValueKind};
use secrecy::SecretString;
use t4t_crypto::keyfile;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, Key};
use super::service_link::is_service_link;

/// Variables whose names begin so must be known ones; others in the environment are not ours to judge.
const PREFIX: &str = "T4T_";

/// Variables with this prefix steer the tests and are no settings.
const TEST_PREFIX: &str = "T4T_TEST_";

/// How similar a name must be to be suggested: 0 is nothing alike, 1 is equal.
const SIMILAR: f64 = 0.7;

/// What is shown in the place of a value that is, or may be, a secret.
pub(super) const HIDDEN: &str = "…";

/// What a secret has to be in the file.
const IN_QUOTES: &str = "a text in quotes";

/// A setting that was given as a flag of the command.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The setting.
    pub key: &'static Key,
    /// Its value; never that of a secret, which other users of the machine could read in the process list.
    pub value: String,
    /// The flag, such as `--port`.
    pub flag: &'static str,
}

/// A secret and where it was found.
#[derive(Clone)]
pub(super) struct FoundSecret {
    pub(super) value: SecretString,
    pub(super) origin: String,
}

/// What was found in one place.
#[derive(Clone, Default)]
pub(super) struct Layer {
    pub(super) values: Map<String, Value>,
    pub(super) secrets: Vec<(&'static Key, FoundSecret)>,
    pub(super) problems: Vec<ConfigProblem>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").field("values", &self.values.keys()).finish_non_exhaustive()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(Self { values: self.values.clone(), ..Self::default() })
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.clone())
    }
}

impl Layer {
    /// Reads the configuration file.
    pub(super) fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let shown = keyfile::shown(path).to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
        let table = DeTable::parse(&text).map_err(|error| {
            // The parser's own words quote the line, and the line may hold a key.
            let (line, column) = place_of(&text, error.span().map_or(text.len(), |span| span.start));
            ConfigError::Malformed { path: shown.clone(), line, column }
        })?;
        let mut layer = Self::default();
        for (name, value) in table.into_inner() {
            let line = place_of(&text, name.span().start).0;
            layer.insert_from_file(&name.into_inner(), value.into_inner(), format!("{shown}, line {line}"));
        }
        Ok(layer)
    }

    fn insert_from_file(&mut self, name: &str, value: DeValue<'_>, origin: String) {
        let Some(key) = keys::find_in_file(name) else {
            let nearest = nearest(&name.to_ascii_uppercase()).map(|key| key.name.to_ascii_lowercase());
            let name = if nearest.is_some() || looks_like_a_name(name) { name } else { HIDDEN };
            self.problems.push(ConfigProblem::Unknown { name: name.into(), origin, nearest });
            return;
        };
        let is_text = matches!(value, DeValue::String(_) | DeValue::Array(_));
        match text_of(value) {
            Some(text) if is_text || !key.kind.is_secret() => self.insert(key, text, origin),
            value => self.problems.push(ConfigProblem::BadValue {
                name: key.name,
                value: if value.is_none() { "a table" } else { HIDDEN }.into(),
                origin,
                expected: if key.kind.is_secret() { IN_QUOTES.into() } else { key.kind.expected() },
            }),
        }
    }

    /// Takes the settings among the variables of the environment. An empty variable counts as one that is not set.
    /// What a cluster adds of its own is passed over.
    pub(super) fn from_environment(variables: &[(String, String)]) -> Self {
        let value_of =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let mut layer = Self::default();
        for (name, value) in variables.iter().filter(|(name, value)| !is_service_link(name, value, value_of))
        {
            let Some(key) = keys::find(name) else {
                layer.check_unknown(name);
                continue;
            };
            if !value.is_empty() {
                layer.insert(key, value.clone(), "environment".into());
            }
        }
        layer
    }

    fn check_unknown(&mut self, name: &str) {
        if name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX) {
            let nearest = nearest(name).map(|key| key.name.to_owned());
            let (name, origin) = (name.to_owned(), "environment".to_owned());
            self.problems.push(ConfigProblem::Unknown { name, origin, nearest });
        }
    }

    /// Takes the command's flags.
    pub(super) fn from_flags(flags: Vec<Flag>) -> Self {
        let mut layer = Self::default();
        for flag in flags {
            layer.insert(flag.key, flag.value, flag.flag.into());
        }
        layer
    }

    fn insert(&mut self, key: &'static Key, text: String, origin: String) {
        if key.kind.is_secret() {
            self.insert_secret(key, text.into(), origin);
            return;
        }
        let value = Value::new(Some(&origin), ValueKind::String(text));
        self.values.insert(key.name.into(), value);
    }

    /// A blank one counts as not set: whoever forgot to fill it in has not chosen an empty secret.
    fn insert_secret(&mut self, key: &'static Key, text: Zeroizing<String>, origin: String) {
        let secret = text.trim();
        if secret.is_empty() {
            return;
        }
        if key.kind.takes(secret) {
            self.secrets.push((key, FoundSecret { value: secret.into(), origin }));
            return;
        }
        let (name, value) = (key.name, HIDDEN.into());
        self.problems.push(ConfigProblem::BadValue { name, value, origin, expected: key.kind.expected() });
    }
}

/// Where a byte of the text is: its line and its column in characters, both counted from 1.
fn place_of(text: &str, byte: usize) -> (usize, usize) {
    let before = String::from_utf8_lossy(&text.as_bytes()[..byte.min(text.len())]);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Whether it was meant as a setting's name: in a slip, a secret can stand in a name's place.
fn looks_like_a_name(text: &str) -> bool {
    text.starts_with("t4t_") && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"4_".contains(&byte))
}

/// A value of the file as the environment would have it: an array becomes a list with commas.
fn text_of(value: DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            let whole = u64::from_str_radix(number.as_str(), number.radix());
            Some(whole.map_or_else(|_| number.to_string(), |whole| whole.to_string()))
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(moment) => Some(moment.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> =
                items.into_iter().map(|item| text_of(item.into_inner())).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Table(_) => None,
    }
}

fn nearest(name: &str) -> Option<&'static Key> {
    let score = |key: &&'static Key| strsim::normalized_damerau_levenshtein(key.name, name);
    let best = keys::ALL.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(&best) >= SIMILAR).then_some(best)
}
