//! Why the file can't be used.

use std::path::PathBuf;

/// The longest file taken, in bytes: thousands of models with prices stay below.
pub(super) const MAX_FILE_BYTES: usize = 4 << 20;

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
pub(super) struct Problem {
    pub(super) at: String,
    pub(super) problem: String,
}
