//! Where settings come from: the file, the environment and the command's flags, each as one layer.

use std::path::Path;

use config::{File, FileFormat, Map, Source, Value, ValueKind};
use secrecy::SecretString;

use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, Key};
use super::kind::Kind;
use super::service_link::is_service_link;

/// Variables whose names begin so must be known ones; others in the environment are not ours to judge.
const PREFIX: &str = "T4T_";

/// Variables with this prefix steer the tests and are no settings.
const TEST_PREFIX: &str = "T4T_TEST_";

/// How similar a name must be to be suggested: 0 is nothing alike, 1 is equal.
const SIMILAR: f64 = 0.7;

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
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
        let malformed = |error: config::ConfigError| ConfigError::Malformed {
            path: shown.clone(),
            reason: error.to_string().trim().to_owned(),
        };
        let source = File::from_str(&text, FileFormat::Toml);
        let mut layer = Self::default();
        for (name, value) in source.collect().map_err(malformed)? {
            let origin = match line_of(&text, &name) {
                Some(line) => format!("{shown}, line {line}"),
                None => shown.clone(),
            };
            layer.insert_from_file(&name, value, origin);
        }
        Ok(layer)
    }

    fn insert_from_file(&mut self, name: &str, value: Value, origin: String) {
        let Some(key) = keys::find_in_file(name) else {
            let nearest = nearest(&name.to_ascii_uppercase()).map(|key| key.name.to_ascii_lowercase());
            self.problems.push(ConfigProblem::Unknown { name: name.into(), origin, nearest });
            return;
        };
        match text_of(value) {
            Some(text) => self.insert(key, text, origin),
            None => self.problems.push(ConfigProblem::BadValue {
                name: key.name,
                value: "a table".into(),
                origin,
                expected: key.kind.expected(),
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
        if key.kind == Kind::Secret {
            self.secrets.push((key, FoundSecret { value: text.into(), origin }));
            return;
        }
        let value = Value::new(Some(&origin), ValueKind::String(text));
        self.values.insert(key.name.into(), value);
    }
}

/// A value of the file as the environment would have it: an array becomes a list with commas.
fn text_of(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::Array(items) => {
            let items: Option<Vec<String>> = items.into_iter().map(text_of).collect();
            items.map(|items| items.join(","))
        }
        ValueKind::Table(_) | ValueKind::Nil => None,
        _ => value.into_string().ok(),
    }
}

/// The line that sets `name`, counted from 1.
fn line_of(text: &str, name: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches(['[', '"', '\'']);
        let rest = line.strip_prefix(name).map(|rest| rest.trim_start_matches(['"', '\'']).trim_start());
        rest.is_some_and(|rest| rest.starts_with(['=', ']', '.']))
    };
    text.lines().position(sets).map(|at| at + 1)
}

fn nearest(name: &str) -> Option<&'static Key> {
    let score = |key: &&'static Key| strsim::normalized_damerau_levenshtein(key.name, name);
    let best = keys::ALL.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(&best) >= SIMILAR).then_some(best)
}
