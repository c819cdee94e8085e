//! Where this process keeps its files.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::error::ConfigError;
use super::{Settings, keys};

/// Where a container's volume is mounted; the reference keeps its files there.
const CONTAINER_FOLDER: &str = "/data";

/// Folders and files.
#[derive(Clone, Debug)]
pub struct DataSettings {
    /// The data folder (`T4T_DATA_DIR`).
    pub folder: PathBuf,
    /// The sealing key's file (`T4T_PSS_KEY_PATH`, `pss.key` in the data folder).
    pub sealing_key_file: PathBuf,
}

/// Where the wallet's key is.
#[derive(Clone, Debug)]
pub struct WalletSettings {
    /// The key itself (`WALLET_KEY`), which comes before the file.
    pub key: Option<SecretString>,
    /// The wallet's file (`WALLET_KEY_FILE`, `wallet.key` in the data folder).
    pub file: PathBuf,
    /// A file with the keystore's password (`T4T_WALLET_PASSWORD_FILE`).
    pub password_file: Option<PathBuf>,
}

impl DataSettings {
    /// The database of a role in one process, and of a dispatcher that is a process of its own.
    pub const DATABASE: &str = "t4t.db";

    /// The database of a settlement that is a process of its own.
    pub const SETTLEMENT_DATABASE: &str = "settlement.db";

    /// Reads them.
    ///
    /// # Errors
    /// A setting is wrong, or there is no place for the data folder.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let folder = data_folder(settings)?;
        let sealing_key_file = settings.get(&keys::T4T_PSS_KEY_PATH)?;
        Ok(Self { sealing_key_file: sealing_key_file.unwrap_or_else(|| folder.join("pss.key")), folder })
    }

    /// A file in the data folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl WalletSettings {
    /// Reads them; the key is taken out of the settings.
    ///
    /// # Errors
    /// A setting is wrong, or there is no place for the data folder.
    pub fn from_settings(settings: &mut Settings) -> Result<Self, ConfigError> {
        let file = match settings.get(&keys::WALLET_KEY_FILE)? {
            Some(file) => file,
            None => data_folder(settings)?.join("wallet.key"),
        };
        Ok(Self {
            file,
            password_file: settings.get(&keys::T4T_WALLET_PASSWORD_FILE)?,
            key: settings.take_secret(&keys::WALLET_KEY),
        })
    }

    /// Where the key comes from, for people: the file, or the setting that holds it.
    pub fn origin(&self) -> String {
        match &self.key {
            Some(_) => keys::WALLET_KEY.name.to_owned(),
            None => self.file.display().to_string(),
        }
    }
}

fn data_folder(settings: &Settings) -> Result<PathBuf, ConfigError> {
    if let Some(folder) = settings.get(&keys::T4T_DATA_DIR)? {
        return Ok(folder);
    }
    let container = Path::new(CONTAINER_FOLDER);
    if can_write(container) {
        return Ok(container.to_owned());
    }
    let xdg = settings.xdg_data_home().map(Path::to_owned);
    let shared = xdg.or_else(|| settings.home().map(|home| home.join(".local/share")));
    shared.map(|folder| folder.join("t4t")).ok_or_else(|| {
        settings.missing(&keys::T4T_DATA_DIR, "neither HOME nor XDG_DATA_HOME says where data goes")
    })
}

/// Permission bits say little inside containers (user mappings, read-only mounts), so a file is made.
fn can_write(folder: &Path) -> bool {
    if !folder.is_dir() {
        return false;
    }
    let probe = folder.join(format!(".t4t-probe-{}", std::process::id()));
    let made = std::fs::write(&probe, []).is_ok();
    made && std::fs::remove_file(&probe).is_ok()
}
