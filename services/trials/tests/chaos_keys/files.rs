//! Key files that are wrong, each in its own way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::ensure;
use secrecy::SecretString;
use t4t_crypto::keyfile;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::secrets::Secrets;

use super::PASSWORD;

/// The password that does not open the keystore.
const WRONG: &str = "incorrect horse battery staple";

/// The keystore of wallet 1 under [`PASSWORD`]; making one takes half a second.
static KEYSTORE: LazyLock<String> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keystore");
    keyfile::write_wallet_keystore(&path, &dev_key(1), &SecretString::from(PASSWORD)).expect("a keystore");
    fs::read_to_string(path).expect("the keystore")
});

/// A group that no process of these tests is in: `nogroup`.
const STRANGERS: u32 = 65_534;

/// What is wrong with a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Missing,
    Empty,
    Blank,
    CutKey,
    CutKeystore,
    GarbageText,
    GarbageBytes,
    GarbageJson,
    TooLong,
    GroupReads,
    OthersRead,
    OthersWrite,
    Link,
    DanglingLink,
    Folder,
    Pipe,
    AnotherPassword,
    NoPassword,
    NoPasswordFile,
    AnotherAddress,
    TooDear,
}

impl Wrong {
    /// What can be wrong with any key file.
    pub(crate) const OF_ANY: [Self; 12] = [
        Self::Empty,
        Self::Blank,
        Self::CutKey,
        Self::GarbageText,
        Self::GarbageBytes,
        Self::TooLong,
        Self::GroupReads,
        Self::OthersRead,
        Self::OthersWrite,
        Self::Link,
        Self::Folder,
        Self::Pipe,
    ];

    /// What can be wrong with a wallet's file alone: it may be a keystore, and is never made by itself.
    pub(crate) const OF_WALLETS: [Self; 9] = [
        Self::Missing,
        Self::DanglingLink,
        Self::CutKeystore,
        Self::GarbageJson,
        Self::AnotherPassword,
        Self::NoPassword,
        Self::NoPasswordFile,
        Self::AnotherAddress,
        Self::TooDear,
    ];

    /// What the refusal must say beside the file's path: what to do.
    pub(crate) const fn next_step(self) -> &'static str {
        match self {
            Self::Missing => "make one with `t4t wallet new`",
            Self::GroupReads | Self::OthersRead | Self::OthersWrite => "chmod 600",
            Self::Link | Self::DanglingLink => "name the file that it points to",
            Self::Folder | Self::Pipe | Self::TooLong => "name a key file",
            Self::AnotherPassword => "correct one of them",
            Self::NoPassword => "T4T_WALLET_PASSWORD_FILE",
            Self::NoPasswordFile => "correct its path",
            Self::TooDear => "V3 keystore",
            _ => "restore it from your copy",
        }
    }

    /// Makes it at `path`, with what else it needs beside it; the path of the password's file, where it has one.
    pub(crate) fn make(self, path: &Path) -> anyhow::Result<Option<PathBuf>> {
        let key = hex::encode(dev_key(1).secret_bytes());
        let beside = |name: &str| path.with_file_name(name);
        match self {
            Self::Missing => {}
            Self::Empty => private(path, "")?,
            Self::Blank => private(path, " \n\n")?,
            Self::CutKey => private(path, &key[..50])?,
            Self::CutKeystore => private(path, &KEYSTORE[..KEYSTORE.len() / 2])?,
            Self::GarbageText => private(path, format!("0x{}zz", &key[..62]))?,
            Self::GarbageBytes => private(path, [0xff, 0x00, 0xfe].repeat(22))?,
            Self::GarbageJson => private(path, format!("{{\"key\":\"{key}\"}}"))?,
            Self::TooLong => private(path, key.repeat(1000))?,
            Self::GroupReads => exposed_to_group(path, &key)?,
            Self::OthersRead => exposed(path, &key, 0o604)?,
            Self::OthersWrite => exposed(path, &key, 0o602)?,
            Self::Link => {
                private(&beside("elsewhere"), format!("0x{key}"))?;
                symlink(beside("elsewhere"), path)?;
            }
            Self::DanglingLink => symlink(beside("nowhere"), path)?,
            Self::Folder => fs::create_dir(path)?,
            Self::Pipe => {
                ensure!(Command::new("mkfifo").arg("-m600").arg(path).status()?.success(), "mkfifo")
            }
            Self::AnotherPassword => return keystore(path, &KEYSTORE, Some(WRONG)),
            Self::NoPassword => return keystore(path, &KEYSTORE, None),
            Self::NoPasswordFile => {
                private(path, &*KEYSTORE)?;
                return Ok(Some(beside("no-password")));
            }
            Self::AnotherAddress => {
                let (own, other) = (dev_key(1).address(), dev_key(2).address());
                let own = own.to_string().to_lowercase().replace("0x", "");
                let other = other.to_string().to_lowercase().replace("0x", "");
                return keystore(path, &KEYSTORE.replace(&own, &other), Some(PASSWORD));
            }
            Self::TooDear => {
                return keystore(path, &KEYSTORE.replace("131072", "1073741824"), Some(PASSWORD));
            }
        }
        Ok(None)
    }
}

/// What the refusals may not show: the wallet's key and the passwords.
pub(crate) fn secrets() -> Secrets {
    Secrets::new()
        .key("the wallet's key", &dev_key(1).secret_bytes())
        .text("the password", PASSWORD)
        .text("the wrong password", WRONG)
}

/// Writes a file that only its owner can read.
pub(crate) fn private(path: &Path, content: impl AsRef<[u8]>) -> std::io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

fn exposed(path: &Path, key: &str, mode: u32) -> std::io::Result<()> {
    private(path, format!("0x{key}"))?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Readable for a group that the process is not alone in. Only root can give a file to one; others show its others.
fn exposed_to_group(path: &Path, key: &str) -> std::io::Result<()> {
    exposed(path, key, 0o640)?;
    match std::os::unix::fs::chown(path, None, Some(STRANGERS)) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o640)),
        Err(_) => exposed(path, key, 0o644),
    }
}

fn keystore(path: &Path, json: &str, password: Option<&str>) -> anyhow::Result<Option<PathBuf>> {
    private(path, json)?;
    let Some(password) = password else { return Ok(None) };
    let file = path.with_file_name("password");
    private(&file, format!("{password}\n"))?;
    Ok(Some(file))
}
