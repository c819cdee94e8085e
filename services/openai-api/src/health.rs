//! `GET /health` (the process lives) and `GET /ready` (it can sell).

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use t4t_api::registry_watcher::GetHead;
use t4t_clock::timeout;

use crate::state::Edge;

/// How long the watcher may take to answer: whoever asks for readiness does not wait long.
const WATCHER_LIMIT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
}

/// Says that the process lives.
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Says whether requests can be served, and if not, why.
pub(crate) async fn ready(edge: web::Data<Edge>) -> HttpResponse {
    let reasons: Vec<_> = obstacle(&edge).await.into_iter().collect();
    let ready = reasons.is_empty();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Readiness { ready, reasons })
}

async fn obstacle(edge: &Edge) -> Option<String> {
    let head = match timeout(&*edge.clock, WATCHER_LIMIT, edge.watcher.ask(GetHead {})).await {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => return Some(error.to_string()),
        Err(_) => return Some(format!("no word of the chain within {} s", WATCHER_LIMIT.as_secs())),
    };
    let stale = u128::from(head.age_ms) > edge.config.stale_head.as_millis();
    stale.then(|| format!("the newest block {} was seen {} s ago", head.block, head.age_ms / 1000))
}
