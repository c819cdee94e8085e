//! All settings, merged and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use config::{Config, Value};
use secrecy::{ExposeSecret, SecretString};
use t4t_crypto::keyfile;
use t4t_types::Xbzz;
use url::Url;

use super::error::{ConfigError, ConfigProblem};
use super::keys::{self, Key, Role};
use super::kind::{self, Kind};
use super::layer::{Flag, FoundSecret, HIDDEN, Layer};

/// Wrong values up to this length are repeated by an error. A longer one may be a secret that was written on the wrong
/// line, and half of it would be too much.
const SHOWN_CHARACTERS: usize = 20;

/// All settings. What is not set anywhere has its default.
///
/// `Debug` names the settings and where they come from, not their values.
#[derive(Clone)]
pub struct Settings {
    set: BTreeMap<&'static str, Found>,
    secrets: BTreeMap<&'static str, FoundSecret>,
    home: Option<PathBuf>,
    xdg_data_home: Option<PathBuf>,
}

#[derive(Clone)]
struct Found {
    text: String,
    origin: String,
}

/// A setting as it may be shown to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The setting.
    pub name: &'static str,
    /// Its value; `(not set)`, or dots for a secret. An address keeps its host only.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

impl Settings {
    /// Merges the layers and checks every value.
    ///
    /// The file is `file`, or the one that `T4T_CONFIG` names, or none.
    ///
    /// # Errors
    /// [`ConfigError`], with one line for each setting that is unknown or wrong.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Vec<Flag>,
    ) -> Result<Self, ConfigError> {
        let variables: Vec<_> = environment.into_iter().collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, value)| known == name && !value.is_empty());
            found.map(|(_, value)| PathBuf::from(value))
        };
        let (home, xdg_data_home) = (variable("HOME"), variable("XDG_DATA_HOME"));
        let file = file.map(Path::to_owned).or_else(|| variable(keys::T4T_CONFIG.name));
        let from_file = file.as_deref().map(Layer::from_file).transpose()?;
        let layers =
            [from_file.unwrap_or_default(), Layer::from_environment(&variables), Layer::from_flags(flags)];
        let mut settings = Self { set: BTreeMap::new(), secrets: BTreeMap::new(), home, xdg_data_home };
        settings.merge(layers)?;
        Ok(settings)
    }

    /// Loads from this process's environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_process(file: Option<&Path>, flags: Vec<Flag>) -> Result<Self, ConfigError> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            // A value that is no text is wrong, and not one that is not set: a secret that was lost here would open what
            // it closes.
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self::load(file, std::env::vars_os().filter_map(text), flags)
    }

    /// The same settings, with `flags` in place of what was set.
    ///
    /// # Errors
    /// A flag's value is wrong.
    pub fn with(&self, flags: Vec<Flag>) -> Result<Self, ConfigError> {
        let mut settings = self.clone();
        settings.merge([Layer::from_flags(flags)])?;
        Ok(settings)
    }

    fn merge<const N: usize>(&mut self, layers: [Layer; N]) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut builder = Config::builder();
        for mut layer in layers {
            problems.append(&mut layer.problems);
            self.secrets.extend(layer.secrets.drain(..).map(|(key, secret)| (key.name, secret)));
            builder = builder.add_source(layer);
        }
        let merged = builder.build().and_then(|merged| config::Source::collect(&merged));
        let merged = merged.expect("each layer is a map of known names to texts");
        for (name, value) in merged {
            match keys::find(&name).map(|key| (key, checked(key, value))) {
                Some((key, Ok(found))) => _ = self.set.insert(key.name, found),
                Some((_, Err(problem))) => problems.push(problem),
                None => {}
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// The setting's text: as set, or its default.
    pub fn text(&self, key: &Key) -> Option<&str> {
        self.set.get(key.name).map(|found| found.text.as_str()).or(key.default)
    }

    /// Whether the setting was set, and is not just its default.
    pub fn is_set(&self, key: &Key) -> bool {
        self.set.contains_key(key.name) || self.secrets.contains_key(key.name)
    }

    /// Where the setting comes from.
    pub fn origin(&self, key: &Key) -> &str {
        let found = self.set.get(key.name).map(|found| &found.origin);
        let secret = || self.secrets.get(key.name).map(|secret| &secret.origin);
        found.or_else(secret).map_or("default", String::as_str)
    }

    /// The setting, read as a `T`.
    ///
    /// # Errors
    /// [`ConfigProblem::BadValue`] if it can't be.
    pub fn get<T: FromStr>(&self, key: &Key) -> Result<Option<T>, ConfigError> {
        self.parse(key, |text| text.parse().ok())
    }

    /// The setting, read as a `T`; it must be there.
    ///
    /// # Errors
    /// [`ConfigProblem::Missing`], which says what it is needed for, or [`ConfigProblem::BadValue`].
    pub fn required<T: FromStr>(&self, key: &Key, why: &'static str) -> Result<T, ConfigError> {
        self.get(key)?.ok_or_else(|| self.missing(key, why))
    }

    pub(super) fn missing(&self, key: &Key, why: &'static str) -> ConfigError {
        ConfigProblem::Missing { name: key.name, why, expected: key.kind.expected() }.into()
    }

    /// A whole number.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub fn whole<T: TryFrom<u64>>(&self, key: &Key) -> Result<T, ConfigError> {
        let number =
            self.parse(key, |text| kind::parse_whole(text).and_then(|number| T::try_from(number).ok()))?;
        number.ok_or_else(|| self.missing(key, key.doc))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub fn flag(&self, key: &Key) -> Result<bool, ConfigError> {
        self.required(key, key.doc)
    }

    /// An amount, or `None` where there is no limit.
    ///
    /// # Errors
    /// [`ConfigProblem::BadValue`].
    pub fn amount(&self, key: &Key) -> Result<Option<Xbzz>, ConfigError> {
        self.parse(key, kind::parse_amount)
    }

    /// An address to connect to.
    ///
    /// # Errors
    /// As [`Self::required`].
    pub fn url(&self, key: &Key) -> Result<Url, ConfigError> {
        self.parse(key, kind::parse_url)?.ok_or_else(|| self.missing(key, key.doc))
    }

    /// The items of a list; none where it is not set.
    pub fn list(&self, key: &Key) -> Vec<&str> {
        self.text(key).map(|text| kind::list(text).collect()).unwrap_or_default()
    }

    /// A secret.
    pub fn secret(&self, key: &Key) -> Option<SecretString> {
        self.secrets.get(key.name).map(|secret| secret.value.clone())
    }

    /// A secret, or what the file that `file` names has in its first line.
    ///
    /// # Errors
    /// Both are set, or the file can't be used: it is not there, others can read it, or its secret is none.
    pub fn secret_or_file(&self, key: &Key, file: &Key) -> Result<Option<SecretString>, ConfigError> {
        let Some(path) = self.get::<PathBuf>(file)? else { return Ok(self.secret(key)) };
        if self.is_set(key) {
            let (what, fix) =
                (format!("{} and {} are both set", key.name, file.name), "leave one of them out".into());
            return Err(ConfigProblem::Unsafe { what, fix }.into());
        }
        let problem = |problem: String| {
            let (name, origin) = (file.name, self.origin(file).to_owned());
            ConfigError::from(ConfigProblem::SecretFile { name, origin, problem })
        };
        let read = keyfile::read_secret(&path).map_err(|error| {
            problem(format!("{} can't be used: {}", keyfile::shown(&path), error.problem))
        })?;
        let secret = read.expose_secret().trim();
        if key.kind.takes(secret) {
            return Ok(Some(secret.into()));
        }
        Err(problem(format!(
            "{} holds no usable secret: expected {}",
            keyfile::shown(&path),
            key.kind.expected()
        )))
    }

    /// Takes a secret out, so that it is not kept twice.
    pub fn take_secret(&mut self, key: &Key) -> Option<SecretString> {
        self.secrets.remove(key.name).map(|secret| secret.value)
    }

    fn parse<T>(&self, key: &Key, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(self.bad_value(key, text, key.kind.expected())),
        }
    }

    pub(crate) fn bad_value(&self, key: &Key, text: &str, expected: String) -> ConfigError {
        bad_value(key.name, text, self.origin(key), expected).into()
    }

    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    pub(super) fn xdg_data_home(&self) -> Option<&Path> {
        self.xdg_data_home.as_deref()
    }

    /// The settings that were set and that nothing reads.
    pub fn without_effect(&self) -> impl Iterator<Item = &'static Key> {
        keys::ALL.iter().copied().filter(|key| key.role == Role::Nobody && self.is_set(key))
    }

    /// Every setting as it may be shown.
    pub fn shown(&self) -> Vec<Shown> {
        keys::ALL.iter().map(|key| self.show(key)).collect()
    }

    fn show(&self, key: &'static Key) -> Shown {
        let value = match (key.kind, self.text(key)) {
            (kind, _) if kind.is_secret() && self.is_set(key) => "••••••".into(),
            (Kind::Url | Kind::Urls, Some(text)) => without_secrets(text),
            (Kind::Path, Some(text)) => keyfile::shown(Path::new(text)).to_string(),
            (_, Some(text)) => text.to_owned(),
            (_, None) => "(not set)".into(),
        };
        Shown { name: key.name, value, origin: self.origin(key).to_owned() }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = self.set.iter().map(|(name, found)| (*name, found.origin.as_str()));
        let secrets = self.secrets.iter().map(|(name, found)| (*name, found.origin.as_str()));
        f.debug_map().entries(origins.chain(secrets)).finish()
    }
}

fn checked(key: &'static Key, value: Value) -> Result<Found, ConfigProblem> {
    let origin = value.origin().unwrap_or("unknown").to_owned();
    let text = value.into_string().unwrap_or_default();
    if key.kind.takes(&text) {
        return Ok(Found { text, origin });
    }
    let shown = match key.kind {
        // An address may carry a key or a password, also where it is misspelt.
        Kind::Url | Kind::Urls => HIDDEN,
        _ => &text,
    };
    Err(bad_value(key.name, shown, &origin, key.kind.expected()))
}

fn bad_value(name: &'static str, text: &str, origin: &str, expected: String) -> ConfigProblem {
    let is_short = text.chars().count() <= SHOWN_CHARACTERS;
    let value = if is_short { text.to_owned() } else { HIDDEN.to_owned() };
    ConfigProblem::BadValue { name, value, origin: origin.into(), expected }
}

/// Addresses of RPC providers carry keys in their paths: shows scheme, host and port only.
fn without_secrets(text: &str) -> String {
    let show = |item: &str| match kind::parse_url(item) {
        Some(url) => {
            let bare = url.origin().ascii_serialization();
            if matches!(url.path(), "" | "/") && url.query().is_none() { bare } else { format!("{bare}/…") }
        }
        None => HIDDEN.into(),
    };
    kind::list(text).map(show).collect::<Vec<_>>().join(",")
}
