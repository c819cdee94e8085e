//! What a role needs, checked, and what to do about what is missing.

mod backends;
mod chain;
mod coins;
mod doors;
mod limits;
mod swarm;

use serde::{Deserialize, Serialize};
use t4t_chain::ChainError;
use t4t_runtime::Settings;
use t4t_runtime::config::{ConfigError, DataSettings};
use t4t_runtime::wallet::WalletError;
use t4t_swarm::{StampKeeperConfig, SwarmError, SwarmTrouble};
use t4t_types::Address;

pub use self::backends::{Backend, Backends};

/// Whose needs are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A gateway's.
    Gateway,
    /// A provider's.
    Provider,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// Whether it will do.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into(), next_step: None }
    }

    fn bad(what: &'static str, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into(), next_step: Some(next_step.into()) }
    }
}

/// What only the services know.
#[derive(Clone, Debug)]
pub struct FromServices {
    /// How batches of postage are kept.
    pub stamps: StampKeeperConfig,
    /// What is said of a node that receives no messages.
    pub deaf: SwarmTrouble,
    /// The provider's backends.
    pub backends: Option<Backends>,
}

/// Nothing can be checked.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// No client of the chain can be made.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// No client of the Bee node can be made.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
}

/// Checks everything that a role with this wallet needs.
///
/// # Errors
/// A setting is wrong, or a client can't be made.
pub async fn examine(
    role: Role,
    settings: &Settings,
    wallet: Result<Address, WalletError>,
    services: FromServices,
) -> Result<Vec<Finding>, DoctorError> {
    let address = wallet.as_ref().ok().copied();
    let mut findings = vec![wallet_finding(wallet), data_finding(&DataSettings::from_settings(settings)?)];
    findings.extend(doors::examine(settings, role)?);
    findings.extend(chain::examine(settings, address, role).await?);
    findings.extend(swarm::examine(settings, &services.stamps, services.deaf).await?);
    findings.extend(services.backends.map(Backends::findings).unwrap_or_default());
    if role == Role::Gateway {
        findings.extend(limits::examine(settings)?);
    }
    Ok(findings)
}

fn wallet_finding(opened: Result<Address, WalletError>) -> Finding {
    match opened {
        Ok(address) => Finding::good("wallet", address.to_string()),
        Err(error) => {
            let next_step = match error {
                WalletError::Missing { .. } => "run `t4t wallet new`",
                _ => "correct it, or point WALLET_KEY_FILE at your wallet",
            };
            Finding::bad("wallet", with_causes(&error), next_step)
        }
    }
}

fn data_finding(data: &DataSettings) -> Finding {
    let folder = data.folder.display().to_string();
    let probe = data.folder.join(".doctor");
    let written = std::fs::create_dir_all(&data.folder).and_then(|()| std::fs::write(&probe, []));
    match written.and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => Finding::good("data folder", folder),
        Err(error) => Finding::bad(
            "data folder",
            format!("{folder} can't be written: {error}"),
            "set T4T_DATA_DIR to a folder of yours",
        ),
    }
}

/// An error with its causes on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
