//! Settings of the selling side.

use std::path::PathBuf;
use std::time::Duration;

use t4t_types::{TokenPrices, Xbzz};

use super::data::DataSettings;
use super::error::ConfigError;
use super::{Settings, keys};

/// What the provider sells and how.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// The backends' file (`T4T_ENDPOINTS_FILE`, `endpoints.json` in the data folder).
    pub endpoints_file: PathBuf,
    /// Prices of a model that has none (`T4T_INPUT_PRICE_DEFAULT`, `T4T_OUTPUT_PRICE_DEFAULT`).
    pub default_prices: TokenPrices,
    /// How often to say on the chain that the provider is there (`T4T_HEARTBEAT_INTERVAL_SECONDS`, 300).
    pub heartbeat: Duration,
    /// How many jobs a runner works on at a time (`T4T_MAX_CONCURRENT_JOBS`, 2).
    pub max_concurrent_jobs: u32,
    /// The most jobs of all runners together (`T4T_MAX_CONCURRENT_JOBS` where it is set); else as many as they have
    /// slots.
    pub job_cap: Option<u32>,
    /// How long a backend may take to its first token (`T4T_BACKEND_FIRST_TOKEN_SECONDS`, 120).
    pub first_token: Duration,
    /// How long a backend may be silent between two tokens (`T4T_BACKEND_IDLE_SECONDS`, 60).
    pub idle: Duration,
    /// Whether stopping leaves the market for good (`T4T_DEACTIVATE_ON_SHUTDOWN`, false).
    pub deactivate_on_shutdown: bool,
    /// This runner's name (`T4T_RUNNER_NAME`).
    pub runner_name: String,
}

impl ProviderSettings {
    /// Staked beyond the minimum, where the wallet has it: with one PLUR less than the minimum nobody can post a job, and
    /// the first payment that burns takes more than that.
    pub const STAKE_MARGIN: Xbzz = Xbzz::from_whole(10);

    /// Reads them.
    ///
    /// # Errors
    /// A setting is wrong, or there is no place for the data folder.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let endpoints_file = match settings.get(&keys::T4T_ENDPOINTS_FILE)? {
            Some(file) => file,
            None => DataSettings::from_settings(settings)?.file("endpoints.json"),
        };
        let price = |key| settings.amount(key).map(Option::<Xbzz>::unwrap_or_default);
        Ok(Self {
            endpoints_file,
            default_prices: TokenPrices {
                input: price(&keys::T4T_INPUT_PRICE_DEFAULT)?,
                output: price(&keys::T4T_OUTPUT_PRICE_DEFAULT)?,
            },
            heartbeat: Duration::from_secs(settings.whole(&keys::T4T_HEARTBEAT_INTERVAL_SECONDS)?),
            max_concurrent_jobs: settings.whole(&keys::T4T_MAX_CONCURRENT_JOBS)?,
            job_cap: match settings.is_set(&keys::T4T_MAX_CONCURRENT_JOBS) {
                true => Some(settings.whole(&keys::T4T_MAX_CONCURRENT_JOBS)?),
                false => None,
            },
            first_token: Duration::from_secs(settings.whole(&keys::T4T_BACKEND_FIRST_TOKEN_SECONDS)?),
            idle: Duration::from_secs(settings.whole(&keys::T4T_BACKEND_IDLE_SECONDS)?),
            deactivate_on_shutdown: settings.flag(&keys::T4T_DEACTIVATE_ON_SHUTDOWN)?,
            runner_name: settings.required(&keys::T4T_RUNNER_NAME, "runners are told apart by it")?,
        })
    }
}
