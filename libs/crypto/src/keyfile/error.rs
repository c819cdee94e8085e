//! What goes wrong with a key file.

use std::io;
use std::path::{Path, PathBuf};

use t4t_types::Address;

use crate::CryptoError;

/// A key file that can't be read or written, and why.
#[derive(Debug, thiserror::Error)]
#[error("can't use the key file {}", path.display())]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it; the cause of this error.
    #[source]
    pub problem: KeyFileProblem,
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileProblem {
    /// There is no such file: make a key, or correct the path.
    #[error("it does not exist")]
    Missing,
    /// There is a file already, and key files are never overwritten.
    #[error("it exists already and is never overwritten")]
    Exists,
    /// Others than the owner can read or write the file.
    #[error("others can read it (mode {mode:04o}); run `chmod 600 {}`", path.display())]
    Exposed {
        /// The file's permission bits.
        mode: u32,
        /// The file, for the line to run.
        path: PathBuf,
    },
    /// A folder, a device or a pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// Larger than any key file.
    #[error("it is larger than {limit} bytes, so it holds no key")]
    TooLarge {
        /// The largest size read, in bytes.
        limit: u64,
    },
    /// Shorter than a key: it was cut off, or never written in full.
    #[error("it is cut short: expected {needed}")]
    Truncated {
        /// What it should hold.
        needed: &'static str,
    },
    /// A plain key file whose content is no key.
    #[error("it holds no usable key")]
    Key(#[source] CryptoError),
    /// A keystore whose JSON is not that of a V3 keystore.
    #[error("it is no V3 keystore: {0}")]
    Malformed(String),
    /// A keystore that asks for a cipher, a key derivation or a cost that is not supported.
    #[error("it is a keystore of an unsupported kind: {0}")]
    Unsupported(String),
    /// A keystore, and no password was given.
    #[error("it is an encrypted keystore and needs a password")]
    PasswordNeeded,
    /// The password does not open the keystore (or the keystore was altered).
    #[error("the password is wrong")]
    WrongPassword,
    /// The keystore opens, but holds the key of another address than it states.
    #[error("it states the address {stated} but holds the key of {actual}")]
    WrongAddress {
        /// The address in the file.
        stated: Address,
        /// The address of the key in it.
        actual: Address,
    },
    /// The system refused to read or write.
    #[error("it can't be {action}")]
    Io {
        /// What was tried: "read" or "written".
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl KeyFileError {
    pub(crate) fn new(path: &Path, problem: KeyFileProblem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}
