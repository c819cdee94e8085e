//! What can be wrong with the settings.

use std::fmt;

/// The settings can't be used; nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// One or more settings are wrong; each line names one and says what would be right.
    #[error("{}", Lines(.0))]
    Invalid(Vec<ConfigProblem>),
    /// The configuration file can't be read.
    #[error("the configuration file {path} can't be read")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error(
        "the configuration file {path} is not valid TOML at line {line}, column {column}: write each setting as \
         name = \"value\" on a line of its own"
    )]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
}

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// There is no such setting.
    #[error("unknown setting {name} ({origin}){}", Hint(.nearest))]
    Unknown {
        /// The name as given.
        name: String,
        /// Where it was found.
        origin: String,
        /// The known setting with the most similar name, if one is similar.
        nearest: Option<String>,
    },
    /// The value is not of the setting's kind.
    #[error("{name}={value} ({origin}): expected {expected}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// The value; dots for one that is, or may be, a secret.
        value: String,
        /// Where it was found.
        origin: String,
        /// What would be right.
        expected: String,
    },
    /// A setting that is needed is not set.
    #[error("{name} is not set: {why}; set it to {expected}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What it is needed for.
        why: &'static str,
        /// What would be right.
        expected: String,
    },
    /// A file that a secret is read from can't be used.
    #[error("{name} ({origin}): {problem}")]
    SecretFile {
        /// The setting that names the file.
        name: &'static str,
        /// Where it was found.
        origin: String,
        /// What is wrong with the file and what to do.
        problem: String,
    },
    /// Settings that are right each for itself but not together.
    #[error("{what}: {fix}")]
    Unsafe {
        /// What is unsafe about them.
        what: String,
        /// The line to change.
        fix: String,
    },
}

impl From<ConfigProblem> for ConfigError {
    fn from(problem: ConfigProblem) -> Self {
        Self::Invalid(vec![problem])
    }
}

/// Shows the problems on a line each.
struct Lines<'a>(&'a [ConfigProblem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

struct Hint<'a>(&'a Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, ": did you mean {nearest}?"),
            None => f.write_str(": `t4t config keys` lists all settings"),
        }
    }
}
