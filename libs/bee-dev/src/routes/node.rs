//! What a node says about itself; not under `/v1`.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::{ApiData, ApiResult, resource};

const VERSION: &str = "2.8.1-7cf53193";
const API_VERSION: &str = "8.1.0";

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/", "GET", [web::get().to(|| async { "Ethereum Swarm Bee\n" })]));
    app.service(resource("/addresses", "GET", [web::get().to(addresses)]));
    app.service(resource("/health", "GET", [web::get().to(health)]));
    app.service(resource("/readiness", "GET", [web::get().to(readiness)]));
    app.service(resource("/node", "GET", [web::get().to(node)]));
    app.service(resource("/chainstate", "GET", [web::get().to(chain_state)]));
}

async fn addresses(api: ApiData) -> ApiResult {
    let identity = &api.node().identity;
    let ethereum = identity.ethereum.to_lowercase();
    Ok(HttpResponse::Ok().json(json!({
        "overlay": hex::encode(identity.overlay.as_bytes()),
        "underlay": [],
        "ethereum": ethereum,
        "chain_address": ethereum,
        "publicKey": hex::encode(identity.public_key.serialize()),
        "pssPublicKey": identity.pss_public_key,
    })))
}

async fn health() -> ApiResult {
    Ok(HttpResponse::Ok().json(json!({ "status": "ok", "version": VERSION, "apiVersion": API_VERSION })))
}

async fn readiness() -> ApiResult {
    Ok(HttpResponse::Ok().json(json!({ "status": "ready", "version": VERSION, "apiVersion": API_VERSION })))
}

async fn node(api: ApiData) -> ApiResult {
    let mode = api.mode();
    Ok(HttpResponse::Ok().json(json!({ "beeMode": mode, "chequebookEnabled": true, "swapEnabled": true })))
}

async fn chain_state(api: ApiData) -> ApiResult {
    let network = &api.network;
    Ok(HttpResponse::Ok().json(json!({
        "chainTip": network.block(),
        "block": network.block(),
        "totalAmount": network.total_amount().to_string(),
        "currentPrice": network.config.price,
        "minimumValidityBlocks": 17_280,
    })))
}
