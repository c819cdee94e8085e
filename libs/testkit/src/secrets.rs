//! Searches for what must never be seen: keys, passwords and tokens, in every form in which they could be written.
//!
//! A key is also found when only half of it was written. What is found is told by name and form, never repeated.

mod forms;
mod places;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use anyhow::{Context, ensure};

use self::forms::Form;

/// Files that keys are meant to be in.
const KEY_FILES: [&str; 2] = ["wallet.key", "pss.key"];

/// The file that backends' API keys are meant to be in.
const ENDPOINTS: &str = "endpoints.json";

/// Secrets to be searched for.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    known: Vec<Known>,
    homes: Vec<PathBuf>,
    /// Made at the first search.
    patterns: OnceLock<AhoCorasick>,
}

/// One form of one secret.
#[derive(Clone)]
struct Known {
    name: String,
    form: Form,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {}", self.name, self.form.name)
    }
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The secret's name.
    pub name: String,
    /// How it was written.
    pub form: &'static str,
    /// Where.
    pub place: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {} in {}", self.name, self.form, self.place)
    }
}

impl Secrets {
    /// Nothing to search for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Searches for a key of 32 bytes as well.
    #[must_use]
    pub fn key(mut self, name: &str, bytes: &[u8; 32]) -> Self {
        self.add(name, forms::of_key(bytes));
        self
    }

    /// Searches for a password or token as well; it must be long enough not to be found by chance.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        assert!(text.len() >= 12, "{name} is too short to be searched for");
        self.add(name, forms::of_text(text));
        self
    }

    /// Searches for the keys of every key file below a folder, which may themselves hold them.
    ///
    /// # Errors
    /// A key file can't be read, or holds no key.
    pub fn keys_below(mut self, home: &Path) -> anyhow::Result<Self> {
        for path in places::files_below(home)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !KEY_FILES.contains(&name) {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            // A keystore is sealed itself, and its key is named by whoever made it.
            if text.trim_start().starts_with('{') {
                continue;
            }
            let digits = text.trim().trim_start_matches("0x");
            let mut bytes = [0; 32];
            let read = hex::decode_to_slice(digits, &mut bytes);
            read.with_context(|| format!("{} is not as it was", path.display()))?;
            self.add(&path.display().to_string(), forms::of_key(&bytes));
        }
        self.homes.push(home.to_owned());
        Ok(self)
    }

    /// How many secrets are searched for.
    pub fn count(&self) -> usize {
        self.known.iter().map(|known| &known.name).collect::<BTreeSet<_>>().len()
    }

    /// Where they are in some bytes.
    pub fn in_bytes(&self, place: &str, bytes: &[u8]) -> Vec<Found> {
        let mut search = Search::new(self, place);
        search.look(bytes);
        search.found()
    }

    /// Where they are in a file, however long.
    ///
    /// # Errors
    /// It can't be read.
    pub fn in_file(&self, path: &Path) -> io::Result<Vec<Found>> {
        let place = path.display().to_string();
        let mut search = Search::new(self, &place);
        places::read_in_pieces(&mut fs::File::open(path)?, search.longest(), |piece| search.look(piece))?;
        Ok(search.found())
    }

    /// Where they are in the files below a folder, and in the files' names; in all files but those that hold them
    /// rightly.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn in_folder(&self, folder: &Path) -> anyhow::Result<Vec<Found>> {
        let mut found = Vec::new();
        for path in places::files_below(folder)? {
            found.extend(self.in_bytes("a file's name", path.as_os_str().as_encoded_bytes()));
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if KEY_FILES.contains(&name) || name == ENDPOINTS {
                continue;
            }
            match self.in_file(&path) {
                Ok(more) => found.extend(more),
                // Databases take their side files away while they are looked at.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(path.display().to_string()),
            }
        }
        Ok(found)
    }

    /// Fails if any of them is in the files below the folders whose key files were read.
    ///
    /// # Errors
    /// Names what was found and where, but not the secret.
    pub fn stay_in_their_files(&self) -> anyhow::Result<()> {
        let homes = self.homes.iter().map(|home| self.in_folder(home));
        let found: Vec<Found> = homes.collect::<anyhow::Result<Vec<_>>>()?.concat();
        no_secret(&found)
    }

    /// Where they are in a running process's memory, in so many places each, or `None` where the system does not let
    /// it be read.
    ///
    /// # Errors
    /// The process is gone.
    pub fn in_memory_of(&self, process: u32) -> anyhow::Result<Option<Vec<(Found, usize)>>> {
        let Some(regions) = places::memory_of(process)? else { return Ok(None) };
        let mut counts: std::collections::BTreeMap<Found, usize> = std::collections::BTreeMap::new();
        for (place, bytes) in regions {
            let mut search = Search::new(self, &place);
            search.look(&bytes);
            for (index, count) in search.hits.iter().enumerate().filter(|(_, count)| **count > 0) {
                let known = &self.known[index];
                let found = Found { name: known.name.clone(), form: known.form.name, place: place.clone() };
                *counts.entry(found).or_default() += count;
            }
        }
        Ok(Some(counts.into_iter().collect()))
    }

    fn patterns(&self) -> &AhoCorasick {
        self.patterns.get_or_init(|| {
            let patterns = self.known.iter().map(|known| &known.form.bytes);
            AhoCorasick::new(patterns).expect("some hundred short patterns fit")
        })
    }

    fn add(&mut self, name: &str, forms: Vec<Form>) {
        self.patterns = OnceLock::new();
        self.known.extend(forms.into_iter().map(|form| Known { name: name.to_owned(), form }));
    }
}

/// Fails if anything was found.
///
/// # Errors
/// Names what was found and where, but not the secret.
pub fn no_secret(found: &[Found]) -> anyhow::Result<()> {
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    ensure!(told.is_empty(), "a secret is where it must not be:\n  {}", told.join("\n  "));
    Ok(())
}

/// A search at one place.
struct Search<'a> {
    secrets: &'a Secrets,
    place: &'a str,
    /// How often each form was found.
    hits: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(secrets: &'a Secrets, place: &'a str) -> Self {
        Self { secrets, place, hits: vec![0; secrets.known.len()] }
    }

    fn longest(&self) -> usize {
        self.secrets.known.iter().map(|known| known.form.bytes.len()).max().unwrap_or(0)
    }

    fn look(&mut self, bytes: &[u8]) {
        for hit in self.secrets.patterns().find_overlapping_iter(bytes) {
            self.hits[hit.pattern().as_usize()] += 1;
        }
    }

    fn found(&self) -> Vec<Found> {
        let hits = self.hits.iter().zip(&self.secrets.known).filter(|(count, _)| **count > 0);
        let found = hits.map(|(_, known)| Found {
            name: known.name.clone(),
            form: known.form.name,
            place: self.place.to_owned(),
        });
        found.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
