//! Finding and opening the wallet.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use t4t_crypto::keyfile::{self, KeyFileError, KeyFileProblem, shown};
use t4t_crypto::{CryptoError, SealingKey, WalletKey};

use crate::config::WalletSettings;

/// The wallet can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// There is none yet.
    #[error("there is no wallet at {}: make one with `t4t wallet new`, or point WALLET_KEY_FILE at yours", shown(.path))]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// `WALLET_KEY` is not a key. (Its text is not repeated.)
    #[error("WALLET_KEY is not a key: expected 0x and 64 hexadecimal digits")]
    BadKey(#[source] CryptoError),
    /// The file of the keystore's password can't be read.
    #[error("the password file {} (T4T_WALLET_PASSWORD_FILE) can't be read: correct its path or its mode", shown(.path))]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: KeyFileProblem,
    },
    /// The wallet is a keystore, and nobody said where its password is.
    #[error(
        "the wallet {} is an encrypted keystore: write its password into a file of mode 0600 and name that in \
         T4T_WALLET_PASSWORD_FILE",
        shown(.path)
    )]
    PasswordNeeded {
        /// The wallet's file.
        path: PathBuf,
    },
    /// The password does not open the keystore. (Its text is not repeated.)
    #[error("the password in {} (T4T_WALLET_PASSWORD_FILE) does not open the wallet {}: correct one of them", shown(.password), shown(.path))]
    WrongPassword {
        /// The wallet's file.
        path: PathBuf,
        /// The password's file.
        password: PathBuf,
    },
    /// The wallet's file can't be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The system has no random bytes for a new key.
    #[error("no key can be made")]
    Generate(#[source] CryptoError),
}

/// Opens the wallet that the settings name.
///
/// Blocks, for up to a second where the file is a keystore.
///
/// # Errors
/// [`WalletError`], which says what to do.
pub fn open(settings: &WalletSettings) -> Result<WalletKey, WalletError> {
    if let Some(key) = &settings.key {
        return WalletKey::parse(key.expose_secret().trim()).map_err(WalletError::BadKey);
    }
    let password = settings.password_file.as_deref().map(read_password).transpose()?;
    keyfile::read_wallet(&settings.file, password.as_ref()).map_err(|error| explain(error, settings))
}

/// Names the setting where the key file's own words can't.
fn explain(error: KeyFileError, settings: &WalletSettings) -> WalletError {
    let path = settings.file.clone();
    match (&error.problem, settings.password_file.clone()) {
        (KeyFileProblem::Missing, _) => WalletError::Missing { path },
        (KeyFileProblem::PasswordNeeded, _) => WalletError::PasswordNeeded { path },
        (KeyFileProblem::WrongPassword, Some(password)) => WalletError::WrongPassword { path, password },
        _ => WalletError::KeyFile(error),
    }
}

/// Opens the sealing key, and makes one where there is none.
///
/// Blocks.
///
/// # Errors
/// [`WalletError`], which says what to do.
pub fn open_or_make_sealing_key(path: &Path) -> Result<SealingKey, WalletError> {
    if !path.exists() {
        let key = SealingKey::generate().map_err(WalletError::Generate)?;
        match keyfile::write_sealing_key(path, &key) {
            Ok(()) => return Ok(key),
            // Another process was faster: its key is the one.
            Err(error) if matches!(error.problem, KeyFileProblem::Exists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(keyfile::read_sealing_key(path)?)
}

/// Reads a keystore's password: the file's first line.
///
/// # Errors
/// [`WalletError::PasswordFile`]: it can't be read, others can read it, or it is empty.
pub fn read_password(path: &Path) -> Result<SecretString, WalletError> {
    keyfile::read_secret(path)
        .map_err(|error| WalletError::PasswordFile { path: error.path, problem: error.problem })
}
