//! What a runner is told at its start.

use std::path::PathBuf;
use std::time::Duration;

use t4t_runtime::config::ProviderSettings;

use crate::endpoints::Endpoints;

/// One runner's settings.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// Its backends (`T4T_ENDPOINTS_FILE`, a file as the reference has it).
    pub endpoints: Endpoints,
    /// Where they were read from: the file is looked at while the runner runs. `None` if they come from nowhere.
    pub endpoints_file: Option<PathBuf>,
    /// Requests it works on at a time: the sum of its backends' slots if one states its own, else
    /// `T4T_MAX_CONCURRENT_JOBS`; at least one.
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
        Self {
            endpoints,
            endpoints_file: None,
            slots: 2,
            limits: RunnerLimits::default(),
            probe_new_models: false,
        }
    }

    /// What the operator set for these backends.
    pub fn from_settings(provider: &ProviderSettings, endpoints: Endpoints) -> Self {
        let limits = RunnerLimits {
            first_token: provider.first_token,
            idle: provider.idle,
            ..RunnerLimits::default()
        };
        let slots = endpoints.slots(provider.max_concurrent_jobs);
        let endpoints_file = Some(provider.endpoints_file.clone());
        Self { slots, limits, endpoints_file, ..Self::new(endpoints) }
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
    /// Between two looks at the file of backends.
    pub file_interval: Duration,
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
            file_interval: Duration::from_secs(5),
            discovery_timeout: Duration::from_secs(5),
            stop_grace: Duration::from_secs(30),
        }
    }
}
