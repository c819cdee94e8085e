//! How much of a chaos suite is played, and the line that it adds to the table of `just chaos`.
//!
//! `CHAOS=full` plays the long form, `CHAOS_SEED=n` throws other dice, `CHAOS_SHARE=0.1` plays that part of the long
//! form's runs. Each suite adds a [`Row`] to the file that `CHAOS_REPORT` names; the program `chaos-table` prints them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// How much of a suite is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What CI plays.
    Short,
    /// Everything.
    Full,
}

impl Form {
    /// What `CHAOS` says: `full`, or else the short form.
    pub fn from_env() -> Self {
        match std::env::var("CHAOS").as_deref() {
            Ok("full") => Self::Full,
            _ => Self::Short,
        }
    }

    /// How many runs there are in this form; of the long one, the share that `CHAOS_SHARE` says, but never fewer than
    /// in the short one.
    ///
    /// # Errors
    /// `CHAOS_SHARE` is no number.
    pub fn runs(self, short: u32, full: u32) -> anyhow::Result<u32> {
        if self == Self::Short {
            return Ok(short);
        }
        let share = number("CHAOS_SHARE", 1.0_f64)?.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small count"
        )]
        let runs = (f64::from(full) * share).ceil() as u32;
        Ok(runs.max(short))
    }
}

/// Where the dice begin: what `CHAOS_SEED` says, or 1.
///
/// # Errors
/// It is no number.
pub fn seed() -> anyhow::Result<u64> {
    number("CHAOS_SEED", 1)
}

fn number<T: std::str::FromStr>(name: &'static str, otherwise: T) -> anyhow::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    std::env::var(name).map_or(Ok(otherwise), |text| text.parse().context(name))
}

/// What a suite tried and found: a line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Its number in the table of `just chaos`; several rows may share one.
    pub number: u8,
    /// What was tried.
    pub tried: String,
    /// How many scenarios.
    pub runs: u64,
    /// What was measured, with units: `0 slashed, slowest recovery 3.1 s`.
    pub found: String,
}

impl Row {
    /// A row for a suite that has passed.
    pub fn new(number: u8, tried: impl Into<String>, runs: u64, found: impl Into<String>) -> Self {
        Self { number, tried: tried.into(), runs, found: found.into() }
    }

    /// Tells it on standard error, and adds it to the file that `CHAOS_REPORT` names, if one is named.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn report(&self) -> anyhow::Result<()> {
        eprintln!("row {}: {}: {} runs, {}", self.number, self.tried, self.runs, self.found);
        let Some(path) = std::env::var_os("CHAOS_REPORT").map(PathBuf::from) else { return Ok(()) };
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.with_context(|| path.display().to_string())?;
        file.write_all(line.as_bytes()).with_context(|| path.display().to_string())
    }
}
