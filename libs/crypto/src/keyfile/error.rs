//! What goes wrong with a key file.

use std::io;
use std::path::{Path, PathBuf};

use t4t_types::Address;

use crate::CryptoError;

/// A key file that can't be read or written, and why.
#[derive(Debug, thiserror::Error)]
#[error("can't use the key file {}", super::shown(path))]
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
    #[error("it does not exist: correct the path")]
    Missing,
    /// There is a file already, and key files are never overwritten.
    #[error("it exists already and is never overwritten: move it away first, if its key is not needed there")]
    Exists,
    /// A password's or token's file whose first line is blank.
    #[error("its first line is empty: write the secret into it")]
    Empty,
    /// Others than the owner can read or write the file.
    #[error("others can read it (mode {mode:04o}); run `chmod 600 {}`", super::shown(path))]
    Exposed {
        /// The file's permission bits.
        mode: u32,
        /// The file, for the line to run.
        path: PathBuf,
    },
    /// A symbolic link: whoever may change the link would choose the key.
    #[error("it is a symbolic link: name the file that it points to")]
    Link,
    /// A folder, a device or a pipe.
    #[error("it is not a regular file: name a key file")]
    NotAFile,
    /// Larger than any key file.
    #[error("it is larger than {limit} bytes, so it holds no key: name a key file")]
    TooLarge {
        /// The largest size read, in bytes.
        limit: u64,
    },
    /// Shorter than a key: it was cut off, or never written in full.
    #[error("it is cut short, expected {needed}: restore it from your copy")]
    Truncated {
        /// What it should hold.
        needed: &'static str,
    },
    /// A plain key file whose content is no key.
    #[error("it holds no usable key: restore it from your copy")]
    Key(#[source] CryptoError),
    /// A keystore whose JSON is not that of a V3 keystore.
    #[error("it is no V3 keystore ({0}): restore it from your copy")]
    Malformed(String),
    /// A keystore that asks for a cipher, a key derivation or a cost that is not supported.
    #[error("it is a keystore of an unsupported kind ({0}): have your wallet write a V3 keystore")]
    Unsupported(String),
    /// A keystore, and no password was given.
    #[error("it is an encrypted keystore and needs a password")]
    PasswordNeeded,
    /// The password does not open the keystore (or the keystore was altered).
    #[error("the password does not open it: correct the password")]
    WrongPassword,
    /// The keystore opens, but holds the key of another address than it states.
    #[error("it states the address {stated} but holds the key of {actual}: restore it from your copy")]
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
