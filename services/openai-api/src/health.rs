//! `GET /health` (the process lives) and `GET /ready` (it can sell).

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use t4t_api::registry_watcher::{GetHead, WatcherError};
use t4t_clock::timeout;
use t4t_runtime::health::ComponentState;

use crate::state::Edge;

/// How long the watcher may take to answer: whoever asks for readiness does not wait long.
const WATCHER_LIMIT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<&'static str, ComponentState>,
}

/// Says that the process lives.
pub(crate) async fn live(edge: web::Data<Edge>) -> HttpResponse {
    edge.readiness.health()
}

/// Says whether requests can be served, and if not, why.
pub(crate) async fn ready(edge: web::Data<Edge>) -> HttpResponse {
    let components = edge.readiness.components();
    let mut reasons: Vec<String> = components.values().filter_map(obstacle_of).collect();
    if reasons.is_empty() {
        reasons.extend(obstacle(&edge).await);
    }
    let ready = reasons.is_empty();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Ready { ready, reasons, components })
}

/// Why a component is not ready, and what to do about it.
fn obstacle_of(state: &ComponentState) -> Option<String> {
    let reason = state.reason.as_ref().filter(|_| !state.ready)?;
    Some(match &state.next_step {
        Some(next_step) => format!("{reason}: {next_step}"),
        None => reason.clone(),
    })
}

async fn obstacle(edge: &Edge) -> Option<String> {
    let head = match timeout(&*edge.clock, WATCHER_LIMIT, edge.watcher.ask(GetHead {})).await {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => return Some(error.to_string()),
        Err(_) => return Some(format!("no word of the chain within {} s", WATCHER_LIMIT.as_secs())),
    };
    if !head.is_registry_read {
        return Some(WatcherError::NotReady.to_string());
    }
    let stale = u128::from(head.age_ms) > edge.config.stale_head.as_millis();
    stale.then(|| format!("the newest block {} was seen {} s ago", head.block, head.age_ms / 1000))
}
