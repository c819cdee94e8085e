//! Files that keys live in.
//!
//! A wallet's file holds either `0x` and 64 hexadecimal digits or a V3 keystore (JSON, encrypted under a password);
//! which one is told by its content. A sealing key's file holds 64 digits. Files are made with mode 0600, reach the
//! disk before the call returns, and are never overwritten; a file that others can read is refused, and so is a link.
//! The file's group may read it where it is the process's own and nobody else is in it.
//!
//! Everything here blocks (files, key stretching for up to a second): call it from `spawn_blocking`.

mod error;
mod file;
mod group;
mod keystore;

use std::path::Path;

use secrecy::SecretString;

pub use self::error::{KeyFileError, KeyFileProblem};
use crate::{SealingKey, WalletKey};

/// Reads a wallet's key from its file, of either kind.
///
/// `password` is needed for a keystore and ignored for a plain key.
///
/// # Errors
/// [`KeyFileError`], which names the file and what to do; it never repeats the file's content.
pub fn read_wallet(path: &Path, password: Option<&SecretString>) -> Result<WalletKey, KeyFileError> {
    let text = file::read(path)?;
    let text = text.trim();
    let key = match text.chars().next() {
        None => Err(KeyFileProblem::Truncated { needed: "0x and 64 hexadecimal digits, or a keystore" }),
        Some('{') => keystore::decrypt(text, password),
        Some(_) => parse_hex(text, "0x", WalletKey::parse),
    };
    key.map_err(|problem| KeyFileError::new(path, problem))
}

/// Reads a password or a token: the first line of its file, which may be reached by a link.
///
/// # Errors
/// [`KeyFileError`]; a file that others can read is refused, and so is one whose first line is blank.
pub fn read_secret(path: &Path) -> Result<SecretString, KeyFileError> {
    let text = file::read_linked(path)?;
    match text.lines().next() {
        Some(line) if !line.trim().is_empty() => Ok(line.into()),
        _ => Err(KeyFileError::new(path, KeyFileProblem::Empty)),
    }
}

/// Writes a wallet's key as `0x`, 64 hexadecimal digits and a line end.
///
/// # Errors
/// [`KeyFileProblem::Exists`] if the file is there already; it is left as it is.
pub fn write_wallet_hex(path: &Path, key: &WalletKey) -> Result<(), KeyFileError> {
    file::create(path, &[key.to_text().as_bytes(), b"\n"])
}

/// Writes a wallet's key as a V3 keystore: scrypt (N = 2^17, r = 8, p = 1; 128 MiB, about half a second), AES-128-CTR.
///
/// # Errors
/// [`KeyFileProblem::Exists`] if the file is there already; it is left as it is.
pub fn write_wallet_keystore(
    path: &Path,
    key: &WalletKey,
    password: &SecretString,
) -> Result<(), KeyFileError> {
    let json = keystore::encrypt(key, password).map_err(|problem| KeyFileError::new(path, problem))?;
    file::create(path, &[json.as_bytes(), b"\n"])
}

/// Reads a sealing key (version 1's `pss.key`): 64 hexadecimal digits, with or without `0x`.
///
/// # Errors
/// [`KeyFileError`]; a key whose public point has odd Y is refused, because no peer could seal to it.
pub fn read_sealing_key(path: &Path) -> Result<SealingKey, KeyFileError> {
    let text = file::read(path)?;
    let prefix = if text.starts_with("0x") { "0x" } else { "" };
    parse_hex(text.trim(), prefix, SealingKey::parse).map_err(|problem| KeyFileError::new(path, problem))
}

/// Writes a sealing key as 64 hexadecimal digits and a line end.
///
/// # Errors
/// [`KeyFileProblem::Exists`] if the file is there already; it is left as it is.
pub fn write_sealing_key(path: &Path, key: &SealingKey) -> Result<(), KeyFileError> {
    file::create(path, &[key.to_text().as_bytes(), b"\n"])
}

/// A path as an error may show it. Where a path was asked for, a key or a password is sometimes written instead: what
/// leads nowhere is not repeated unless it begins at the root.
pub fn shown(path: &Path) -> impl std::fmt::Display + '_ {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let is_path = path.is_absolute() || path.exists() || folder.is_some_and(Path::is_dir);
    if is_path { path.display() } else { Path::new("… (no path, so it is not repeated)").display() }
}

/// Reads a plain key, telling a file that was cut short from one that holds something else.
fn parse_hex<K>(
    text: &str,
    prefix: &str,
    parse: impl Fn(&str) -> Result<K, crate::CryptoError>,
) -> Result<K, KeyFileProblem> {
    let digits = text.strip_prefix(prefix).unwrap_or(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && digits.len() < 64 {
        return Err(KeyFileProblem::Truncated { needed: "64 hexadecimal digits" });
    }
    parse(text).map_err(KeyFileProblem::Key)
}

#[cfg(test)]
mod tests;
