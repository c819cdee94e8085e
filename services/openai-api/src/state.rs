//! What all requests share.

use std::sync::Arc;

use t4t_api::Buying;
use t4t_clock::SharedClock;
use t4t_runtime::http::AllowedHosts;

use crate::catalogue::Catalogue;
use crate::config::OpenAiConfig;
use crate::deps::OpenAiDeps;
use crate::health::Health;
use crate::idempotency::Idempotency;
use crate::joining::Joining;
use crate::limits::Limits;

/// What all requests share.
pub(crate) struct Edge {
    pub(crate) config: OpenAiConfig,
    pub(crate) buying: Arc<dyn Buying>,
    pub(crate) clock: SharedClock,
    /// The names that the gateway answers to.
    pub(crate) hosts: AllowedHosts,
    pub(crate) limits: Limits,
    pub(crate) catalogue: Catalogue,
    pub(crate) health: Health,
    pub(crate) idempotency: Idempotency,
    pub(crate) joining: Arc<Joining>,
}

impl Edge {
    /// The state at the start.
    pub(crate) fn new(config: OpenAiConfig, deps: OpenAiDeps) -> Self {
        let OpenAiDeps { buying, watcher, readiness, clock } = deps;
        Self {
            buying,
            hosts: AllowedHosts::new(config.bind.ip(), &config.allowed_hosts),
            limits: Limits::new(config.max_in_flight, config.max_held_bytes),
            catalogue: Catalogue::new(Arc::clone(&watcher), Arc::clone(&clock), config.models()),
            health: Health { readiness, watcher, clock: Arc::clone(&clock), stale_head: config.stale_head },
            idempotency: Idempotency::default(),
            joining: Joining::new(config.join_window, Arc::clone(&clock)),
            clock,
            config,
        }
    }
}
