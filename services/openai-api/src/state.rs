//! What all requests share.

use std::sync::Arc;

use t4t_api::{Buying, RegistryWatcher};
use t4t_clock::SharedClock;
use t4t_runtime::Readiness;
use t4t_runtime::http::AllowedHosts;
use t4t_types::UnixSeconds;

use crate::catalogue::Catalogue;
use crate::config::OpenAiConfig;
use crate::idempotency::Idempotency;
use crate::joining::Joining;
use crate::limits::Limits;
use crate::server::OpenAiDeps;

/// What all requests share.
pub(crate) struct Edge {
    pub(crate) config: OpenAiConfig,
    pub(crate) buying: Arc<dyn Buying>,
    pub(crate) watcher: Arc<dyn RegistryWatcher>,
    pub(crate) readiness: Readiness,
    /// The names that the gateway answers to.
    pub(crate) hosts: AllowedHosts,
    pub(crate) clock: SharedClock,
    pub(crate) limits: Limits,
    pub(crate) catalogue: Catalogue,
    pub(crate) idempotency: Idempotency,
    pub(crate) joining: Arc<Joining>,
    /// When the edge started.
    pub(crate) started: UnixSeconds,
}

impl Edge {
    /// The state at the start.
    pub(crate) fn new(config: OpenAiConfig, deps: OpenAiDeps) -> Self {
        Self {
            limits: Limits::new(config.max_in_flight, config.max_held_bytes),
            catalogue: Catalogue::default(),
            idempotency: Idempotency::default(),
            hosts: AllowedHosts::new(config.bind.ip(), &config.allowed_hosts),
            joining: Joining::new(config.join_window, Arc::clone(&deps.clock)),
            started: deps.clock.now(),
            buying: deps.buying,
            watcher: deps.watcher,
            readiness: deps.readiness,
            clock: deps.clock,
            config,
        }
    }
}
