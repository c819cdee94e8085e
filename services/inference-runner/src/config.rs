//! What a runner is told at its start.

use std::time::Duration;

use t4t_runtime::config::ProviderSettings;

use crate::endpoints::Endpoints;

/// One runner's settings.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// Its backends (`T4T_ENDPOINTS_FILE`, a file as the reference has it).
    pub endpoints: Endpoints,
    /// Requests it works on at a time (`T4T_MAX_CONCURRENT_JOBS`); at least one.
    pub slots: u32,
    /// How long and how much it bears with a backend.
    pub limits: RunnerLimits,
    /// Whether a model is offered only after it answered one token. Off by default: it costs the GPU a model load for
    /// each model on the disk.
    pub probe_new_models: bool,
}

impl RunnerConfig {
    /// Settings for these backends, everything else at its default.
    pub fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, slots: 2, limits: RunnerLimits::default(), probe_new_models: false }
    }

    /// What the operator set for these backends.
    pub fn from_settings(provider: &ProviderSettings, endpoints: Endpoints) -> Self {
        let limits = RunnerLimits {
            first_token: provider.first_token,
            idle: provider.idle,
            ..RunnerLimits::default()
        };
        Self { slots: provider.max_concurrent_jobs, limits, ..Self::new(endpoints) }
    }
}

/// How long and how much a runner bears with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerLimits {
    /// For a connection to a backend.
    pub connect: Duration,
    /// From the request to the first token (`T4T_BACKEND_FIRST_TOKEN_SECONDS`); loading a model into the GPU falls into
    /// it.
    pub first_token: Duration,
    /// From one token to the next (`T4T_BACKEND_IDLE_SECONDS`).
    pub idle: Duration,
    /// The longest answer in bytes; a longer one is cut there.
    pub max_answer_bytes: usize,
    /// Between two looks at each backend's models.
    pub discovery_interval: Duration,
    /// For a backend's list of models.
    pub discovery_timeout: Duration,
    /// For requests that run when the runner is stopped.
    pub stop_grace: Duration,
}

impl Default for RunnerLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            max_answer_bytes: 8 << 20,
            discovery_interval: Duration::from_secs(60),
            discovery_timeout: Duration::from_secs(5),
            stop_grace: Duration::from_secs(30),
        }
    }
}
