//! Settings of the buying side and of the OpenAI API.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;
use t4t_types::{Address, ModelId, Xbzz};

use super::error::{ConfigError, ConfigProblem};
use super::keys::Key;
use super::{Settings, keys};

const DEFAULT_PORT: u16 = 8080;

/// How a provider is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectionStrategy {
    /// The cheapest of those with a good reputation; now and then a newcomer.
    TopRepCheapest,
    /// The cheapest.
    Cheapest,
    /// The one that the operator names.
    Manual(Address),
}

/// How the gateway buys and where it listens.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where the OpenAI API listens (`T4T_GATEWAY_HOST`, `T4T_GATEWAY_PORT`; 127.0.0.1:8080).
    pub bind: SocketAddr,
    /// The key that apps must send (`T4T_GATEWAY_API_KEY`); without one none is asked for.
    pub api_key: Option<SecretString>,
    /// Web pages that may use the gateway from a browser, beside those of this machine (`T4T_ALLOWED_ORIGINS`).
    pub allowed_origins: Vec<String>,
    /// Names that the gateway is called by, beside those that are known without it (`T4T_ALLOWED_HOSTS`).
    pub allowed_hosts: Vec<String>,
    /// How a provider is chosen (`T4T_SELECTION_STRATEGY`).
    pub strategy: SelectionStrategy,
    /// The most that input and output price together may be (`T4T_MAX_PRICE_PER_MILLION_TOKENS`, 18 xBZZ).
    pub price_cap: Xbzz,
    /// How far above the market's figure an offer may lie, in parts per million (`T4T_MAX_PRICE_MULTIPLE`, 3).
    pub price_multiple_ppm: u64,
    /// The most that one request may put into escrow (`T4T_MAX_ESCROW_PER_JOB`, 0.5 xBZZ).
    pub max_escrow: Xbzz,
    /// The most that may be spent in a day of UTC (`T4T_MAX_SPEND_PER_DAY`, 10 xBZZ).
    pub max_spend_per_day: Xbzz,
    /// The part of it for finding out what strangers are worth (`T4T_EXPLORE_BUDGET`, 0.1 xBZZ).
    pub explore_budget: Xbzz,
    /// How much the escrow exceeds the estimate, in parts per million (`T4T_ESCROW_HEADROOM_RATIO`, 0.2).
    pub headroom_ppm: u64,
    /// What a request without `max_tokens` may answer (`T4T_DEFAULT_MAX_OUTPUT_TOKENS`, 16384).
    pub default_max_output_tokens: u64,
    /// How long a provider has to deliver (`T4T_DEFAULT_DEADLINE_SECONDS`, 900).
    pub deadline: Duration,
    /// How long to wait while all providers are busy (`T4T_PROVIDER_WAIT_SECONDS`, 120).
    pub provider_wait: Duration,
    /// How often to look again meanwhile (`T4T_PROVIDER_WAIT_POLL_SECONDS`, 5).
    pub provider_wait_poll: Duration,
    /// How many requests are worked on at a time (`T4T_MAX_CONCURRENT_REQUESTS`, 256).
    pub max_concurrent_requests: usize,
    /// The longest request that is taken, in bytes (`T4T_MAX_REQUEST_BYTES`, 4 MiB).
    pub max_request_bytes: usize,
    /// All requests held at a time, in bytes (`T4T_MAX_REQUESTS_BYTES`, 128 MiB).
    pub max_requests_bytes: usize,
    /// Whether a request that its app left is joined by the same one (`T4T_JOIN_RETRIES`, true).
    pub join_retries: bool,
    /// The models that are listed (`T4T_ALLOWED_MODELS`); all where `None`.
    pub allowed_models: Option<Vec<ModelId>>,
    /// Models with fewer providers are not listed (`T4T_MIN_PROVIDERS_PER_MODEL`, 1).
    pub min_providers: u32,
    /// How long a list of models may be shown again (`T4T_MODELS_CACHE_TTL_SECONDS`, 60).
    pub models_cache: Duration,
    /// Whether `stream: true` is served for answers that arrive whole (`T4T_FAKE_STREAMING`, true).
    pub fake_streaming: bool,
    /// How a stream shows progress: `reasoning`, `think` or `off` (`T4T_PROGRESS`, reasoning).
    pub progress: String,
}

impl GatewaySettings {
    /// Reads them.
    ///
    /// # Errors
    /// A setting is wrong, or some don't go together.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let seconds = |key| settings.whole(key).map(Duration::from_secs);
        // Each has a default: what a stranger can cost is bounded before anybody reads the settings.
        let bound = |key| settings.amount(key).map(Option::unwrap_or_default);
        let gateway = Self {
            bind: bind(settings)?,
            api_key: settings.secret_or_file(&keys::T4T_GATEWAY_API_KEY, &keys::T4T_GATEWAY_API_KEY_FILE)?,
            allowed_origins: settings
                .list(&keys::T4T_ALLOWED_ORIGINS)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            allowed_hosts: settings.list(&keys::T4T_ALLOWED_HOSTS).into_iter().map(str::to_owned).collect(),
            strategy: strategy(settings)?,
            price_cap: bound(&keys::T4T_MAX_PRICE_PER_MILLION_TOKENS)?,
            price_multiple_ppm: ppm(settings, &keys::T4T_MAX_PRICE_MULTIPLE)?,
            max_escrow: bound(&keys::T4T_MAX_ESCROW_PER_JOB)?,
            max_spend_per_day: bound(&keys::T4T_MAX_SPEND_PER_DAY)?,
            explore_budget: bound(&keys::T4T_EXPLORE_BUDGET)?,
            headroom_ppm: ppm(settings, &keys::T4T_ESCROW_HEADROOM_RATIO)?,
            default_max_output_tokens: settings.whole(&keys::T4T_DEFAULT_MAX_OUTPUT_TOKENS)?,
            deadline: seconds(&keys::T4T_DEFAULT_DEADLINE_SECONDS)?,
            provider_wait: seconds(&keys::T4T_PROVIDER_WAIT_SECONDS)?,
            provider_wait_poll: seconds(&keys::T4T_PROVIDER_WAIT_POLL_SECONDS)?,
            max_concurrent_requests: settings.whole(&keys::T4T_MAX_CONCURRENT_REQUESTS)?,
            max_request_bytes: settings.whole(&keys::T4T_MAX_REQUEST_BYTES)?,
            max_requests_bytes: settings.whole(&keys::T4T_MAX_REQUESTS_BYTES)?,
            join_retries: settings.flag(&keys::T4T_JOIN_RETRIES)?,
            allowed_models: allowed_models(settings)?,
            min_providers: settings.whole(&keys::T4T_MIN_PROVIDERS_PER_MODEL)?,
            models_cache: seconds(&keys::T4T_MODELS_CACHE_TTL_SECONDS)?,
            fake_streaming: settings.flag(&keys::T4T_FAKE_STREAMING)?,
            progress: settings.required(&keys::T4T_PROGRESS, "streams show progress by it")?,
        };
        gateway.check_open(settings.flag(&keys::T4T_GATEWAY_OPEN)?)
    }

    fn check_open(self, open_is_meant: bool) -> Result<Self, ConfigError> {
        if self.bind.ip().is_loopback() || self.api_key.is_some() || open_is_meant {
            return Ok(self);
        }
        Err(ConfigProblem::Unsafe {
            what: format!("the gateway would listen at {} and anyone who reaches it could spend the wallet", self.bind),
            fix: "set T4T_GATEWAY_API_KEY to a key of your choice, or T4T_GATEWAY_HOST=127.0.0.1, or, where the \
                  network is closed to others, T4T_GATEWAY_OPEN=true"
                .into(),
        }
        .into())
    }
}

/// The reference listens at its admin address, so that one serves where the gateway's own is not set.
fn bind(settings: &Settings) -> Result<SocketAddr, ConfigError> {
    let host = settings.get(&keys::T4T_GATEWAY_HOST)?.or(settings.get(&keys::T4T_ADMIN_HOST)?);
    let port = settings.get(&keys::T4T_GATEWAY_PORT)?.or(settings.get(&keys::T4T_ADMIN_PORT)?);
    Ok(SocketAddr::new(host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port.unwrap_or(DEFAULT_PORT)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the settings lie between 0 and 1000"
)]
fn ppm(settings: &Settings, key: &'static Key) -> Result<u64, ConfigError> {
    let ratio: f64 = settings.required(key, "purchases are bounded by it")?;
    Ok((ratio * 1e6).round() as u64)
}

fn strategy(settings: &Settings) -> Result<SelectionStrategy, ConfigError> {
    match settings.text(&keys::T4T_SELECTION_STRATEGY) {
        Some("manual") => {
            let provider =
                settings.required(&keys::T4T_MANUAL_PROVIDER, "T4T_SELECTION_STRATEGY is manual")?;
            Ok(SelectionStrategy::Manual(provider))
        }
        Some("cheapest") => Ok(SelectionStrategy::Cheapest),
        _ => Ok(SelectionStrategy::TopRepCheapest),
    }
}

fn allowed_models(settings: &Settings) -> Result<Option<Vec<ModelId>>, ConfigError> {
    let key = &keys::T4T_ALLOWED_MODELS;
    if !settings.is_set(key) {
        return Ok(None);
    }
    let names = settings.list(key).into_iter().map(|name| {
        name.parse().map_err(|_| settings.bad_value(key, name, "names of models, 1 to 256 bytes each".into()))
    });
    names.collect::<Result<_, _>>().map(Some)
}
