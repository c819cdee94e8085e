//! How the edge is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use t4t_types::ModelId;

/// How the edge is set up. Every field has a default that is safe on one machine.
#[derive(Clone, Debug)]
pub struct OpenAiConfig {
    /// Where to listen; 127.0.0.1:8080 by default, port 0 for any free port. Whoever reaches it spends the wallet, so
    /// an address that others reach wants an [`Self::api_key`].
    pub bind: SocketAddr,
    /// The key that apps must send; none by default.
    pub api_key: Option<SecretString>,
    /// Which web pages may use the gateway from a browser; local ones by default.
    pub allowed_origins: AllowedOrigins,
    /// Names that the gateway is called by, beside those that are known without it; none by default
    /// (`T4T_ALLOWED_HOSTS`).
    pub allowed_hosts: Vec<String>,
    /// The only models listed and sold; all by default (`T4T_ALLOWED_MODELS`).
    pub allowed_models: Option<Vec<ModelId>>,
    /// Models with fewer providers are not listed; 1 by default (`T4T_MIN_PROVIDERS_PER_MODEL`).
    pub min_providers: u32,
    /// Whether `stream: true` is served; true by default (`T4T_FAKE_STREAMING`).
    pub streaming: bool,
    /// How a stream shows what happens until the answer is there (`T4T_PROGRESS`).
    pub progress: ProgressMode,
    /// Completions worked on at a time; one more is answered with 503. 256 by default (`T4T_MAX_CONCURRENT_REQUESTS`).
    pub max_in_flight: usize,
    /// Connections open at a time, fewer where the system gives fewer files; one more closes those that have been
    /// without a request for longest. 1024 by default.
    pub max_connections: usize,
    /// The longest request body, in bytes; 4 MiB by default (`T4T_MAX_REQUEST_BYTES`), which is what a Swarm node brings
    /// to a provider in time. 16 MiB at most: a payload carries no more.
    pub max_body_bytes: usize,
    /// All request bodies held at a time, in bytes; one more is answered with 503. 128 MiB by default
    /// (`T4T_MAX_REQUESTS_BYTES`).
    pub max_held_bytes: usize,
    /// For how long after it was begun a purchase that its app left is joined by the same request; 900 s by default,
    /// `None` for never (`T4T_JOIN_RETRIES`).
    pub join_window: Option<Duration>,
    /// How long a stream may be silent before it sends a comment, and how long it waits for its answer before it begins at
    /// all: until then an error has a status of its own. 12 s by default.
    pub keep_alive: Duration,
    /// For how long the list of models is kept; 60 s by default.
    pub models_ttl: Duration,
    /// How long a client may take to send a request's head; 10 s by default.
    pub head_timeout: Duration,
    /// How long a client may take to send a request's body; 120 s by default.
    pub body_timeout: Duration,
    /// How long a client may leave sent bytes unread, and keep an answer waiting in all, before it is cut off; 60 s by
    /// default.
    pub write_stall: Duration,
    /// For so many bytes of an answer a client has a second more; 1024 by default.
    pub slowest_reader: u64,
    /// How long an app may wait for its answer, whatever the buying side does; 1 h by default.
    pub max_wait: Duration,
    /// How old the newest block may be before the gateway says that it is not ready; 60 s by default.
    pub stale_head: Duration,
    /// How long requests may go on after [`crate::Running::stop`]; 30 s by default, in whole seconds.
    pub stop_grace: Duration,
}

impl Default for OpenAiConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            api_key: None,
            allowed_origins: AllowedOrigins::Local,
            allowed_hosts: Vec::new(),
            allowed_models: None,
            min_providers: 1,
            streaming: true,
            progress: ProgressMode::Reasoning,
            max_in_flight: 256,
            max_connections: 1024,
            max_body_bytes: 4 << 20,
            max_held_bytes: 128 << 20,
            join_window: Some(Duration::from_secs(900)),
            keep_alive: Duration::from_secs(12),
            models_ttl: Duration::from_secs(60),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(120),
            write_stall: Duration::from_secs(60),
            slowest_reader: 1024,
            max_wait: Duration::from_secs(3600),
            stale_head: Duration::from_secs(60),
            stop_grace: Duration::from_secs(30),
        }
    }
}

/// Which models are listed and sold, and for how long the list is kept.
#[derive(Clone, Debug)]
pub(crate) struct ModelsConfig {
    allowed: Option<Vec<ModelId>>,
    /// Models with fewer providers are not listed.
    pub(crate) min_providers: u32,
    /// For how long the list is kept.
    pub(crate) ttl: Duration,
}

impl OpenAiConfig {
    /// The part of it that is about models.
    pub(crate) fn models(&self) -> ModelsConfig {
        let (allowed, min_providers) = (self.allowed_models.clone(), self.min_providers);
        ModelsConfig { allowed, min_providers, ttl: self.models_ttl }
    }
}

impl ModelsConfig {
    /// Whether the model may be listed and bought.
    pub(crate) fn allows(&self, model: &ModelId) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(model))
    }
}

/// How a stream shows what happens until the answer is there. Structured output and tools never show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressMode {
    /// As `reasoning_content`, which apps show apart from the answer (`reasoning`).
    #[default]
    Reasoning,
    /// Between `<think>` and `</think>` at the start of the answer (`think`).
    Think,
    /// Not at all (`off`).
    Off,
}

/// A text that names no progress mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected reasoning, think or off, got {got:?}")]
pub struct ParseProgressModeError {
    /// The text as given, shortened to 80 characters.
    pub got: String,
}

impl FromStr for ProgressMode {
    type Err = ParseProgressModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "reasoning" => Ok(Self::Reasoning),
            "think" => Ok(Self::Think),
            "off" => Ok(Self::Off),
            _ => Err(ParseProgressModeError { got: text.chars().take(80).collect() }),
        }
    }
}

/// Which web pages may use the gateway from a browser.
///
/// A browser lets any page send requests to this machine, and without an API key a request spends money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Pages served by this machine, and desktop apps.
    #[default]
    Local,
    /// These, such as `https://chat.example`, and local ones.
    Listed(Vec<String>),
    /// All.
    Any,
}
