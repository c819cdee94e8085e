//! `GET /health` (the process lives) and `GET /ready` (it can sell).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use serde::Serialize;
use t4t_api::RegistryWatcher;
use t4t_api::registry_watcher::{GetHead, WatcherError};
use t4t_clock::{SharedClock, timeout};
use t4t_runtime::Readiness;
use t4t_runtime::health::ComponentState;

/// How long the watcher may take to answer: whoever asks for readiness does not wait long.
const WATCHER_LIMIT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<&'static str, ComponentState>,
}

/// What tells whether the gateway can sell.
pub(crate) struct Health {
    /// The board of the process.
    pub(crate) readiness: Readiness,
    /// Whoever sees the chain.
    pub(crate) watcher: Arc<dyn RegistryWatcher>,
    /// The clock.
    pub(crate) clock: SharedClock,
    /// How old the newest block may be.
    pub(crate) stale_head: Duration,
}

impl Health {
    /// Says that the process lives.
    pub(crate) fn live(&self) -> HttpResponse {
        self.readiness.health()
    }

    /// Says whether requests can be served, and if not, why.
    pub(crate) async fn ready(&self) -> HttpResponse {
        let components = self.readiness.components();
        let mut reasons: Vec<String> = components.values().filter_map(obstacle_of).collect();
        if reasons.is_empty() {
            reasons.extend(self.obstacle().await);
        }
        let ready = reasons.is_empty();
        let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
        response.json(Ready { ready, reasons, components })
    }

    async fn obstacle(&self) -> Option<String> {
        let head = match timeout(&*self.clock, WATCHER_LIMIT, self.watcher.ask(GetHead {})).await {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some(format!("no word of the chain within {} s", WATCHER_LIMIT.as_secs())),
        };
        if !head.is_registry_read {
            return Some(WatcherError::NotReady.to_string());
        }
        let stale = u128::from(head.age_ms) > self.stale_head.as_millis();
        stale.then(|| format!("the newest block {} was seen {} s ago", head.block, head.age_ms / 1000))
    }
}

/// Why a component is not ready, and what to do about it.
fn obstacle_of(state: &ComponentState) -> Option<String> {
    let reason = state.reason.as_ref().filter(|_| !state.ready)?;
    Some(match &state.next_step {
        Some(next_step) => format!("{reason}: {next_step}"),
        None => reason.clone(),
    })
}
