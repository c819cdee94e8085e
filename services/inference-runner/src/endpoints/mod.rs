//! The backends as `endpoints.json` names them: where they are, their keys, and prices that the operator set.

mod endpoint;
mod entry;
mod error;

use std::path::Path;

use serde_json::Value;

use entry::Entry;
use error::{MAX_FILE_BYTES, Problem};

pub use endpoint::{Endpoint, ModelTerms};
pub use error::EndpointsError;

/// The backends of one runner, at least one, each with a name of its own.
#[derive(Clone, Debug)]
pub struct Endpoints(Vec<Endpoint>);

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
mod tests;
