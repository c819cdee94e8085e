//! Finding and opening the wallet.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use t4t_crypto::keyfile::{self, KeyFileError, KeyFileProblem};
use t4t_crypto::{CryptoError, SealingKey, WalletKey};

use crate::config::WalletSettings;

/// The wallet can't be used.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// There is none yet.
    #[error("there is no wallet at {}: make one with `t4t wallet new`, or point WALLET_KEY_FILE at yours", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// `WALLET_KEY` is not a key. (Its text is not repeated.)
    #[error("WALLET_KEY is not a key: expected 0x and 64 hexadecimal digits")]
    BadKey(#[source] CryptoError),
    /// The file of the keystore's password can't be read.
    #[error("the password file {} (T4T_WALLET_PASSWORD_FILE) can't be read", .path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
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
    if !settings.file.exists() {
        return Err(WalletError::Missing { path: settings.file.clone() });
    }
    let password = settings.password_file.as_deref().map(read_password).transpose()?;
    Ok(keyfile::read_wallet(&settings.file, password.as_ref())?)
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
/// [`WalletError::PasswordFile`].
pub fn read_password(path: &Path) -> Result<SecretString, WalletError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| WalletError::PasswordFile { path: path.to_owned(), source })?;
    let text = zeroize::Zeroizing::new(text);
    Ok(text.lines().next().unwrap_or_default().into())
}
