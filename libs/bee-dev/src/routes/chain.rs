//! The node's wallet and what it says of its reserve.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::{ApiData, ApiResult, resource};

/// Gnosis Chain.
const CHAIN_ID: u64 = 100;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/wallet", "GET", [web::get().to(wallet)]));
    app.service(resource("/reservestate", "GET", [web::get().to(reserve_state)]));
    app.service(resource("/status", "GET", [web::get().to(status)]));
    app.service(resource("/topology", "GET", [web::get().to(topology)]));
    app.service(resource("/peers", "GET", [web::get().to(peers)]));
}

async fn wallet(api: ApiData) -> ApiResult {
    let node = api.node();
    Ok(HttpResponse::Ok().json(json!({
        "bzzBalance": node.balance(),
        "nativeTokenBalance": api.network.config.native_balance.to_string(),
        "chainID": CHAIN_ID,
        "chequebookContractAddress": "0x0000000000000000000000000000000000000000",
        "walletAddress": node.identity.ethereum.to_lowercase(),
    })))
}

async fn reserve_state(api: ApiData) -> ApiResult {
    let radius = api.network.config.storage_radius;
    Ok(HttpResponse::Ok().json(json!({
        "radius": radius,
        "storageRadius": radius,
        "commitment": 0,
        "reserveCapacityDoubling": 0,
    })))
}

async fn status(api: ApiData) -> ApiResult {
    let network = &api.network;
    Ok(HttpResponse::Ok().json(json!({
        "overlay": hex::encode(api.node().identity.overlay.as_bytes()),
        "proximity": 256,
        "beeMode": api.mode(),
        "reserveSize": 0,
        "reserveSizeWithinRadius": 0,
        "pullsyncRate": 0,
        "storageRadius": network.config.storage_radius,
        "connectedPeers": network.nodes.len() - 1,
        "neighborhoodSize": 1,
        "batchCommitment": 0,
        "isReachable": true,
        "lastSyncedBlock": network.block(),
        "committedDepth": network.config.storage_radius,
        "isWarmingUp": false,
    })))
}

async fn topology(api: ApiData) -> ApiResult {
    let others = api.network.nodes.len() - 1;
    Ok(HttpResponse::Ok().json(json!({
        "baseAddr": hex::encode(api.node().identity.overlay.as_bytes()),
        "population": others,
        "connected": others,
        "depth": api.network.config.storage_radius,
        "reachability": "Public",
        "networkAvailability": "Available",
        "bins": {},
    })))
}

async fn peers(api: ApiData) -> ApiResult {
    let others = api.network.nodes.iter().filter(|node| node.index != api.index);
    let peer = |overlay: &t4t_types::Overlay| json!({ "address": hex::encode(overlay.as_bytes()), "fullNode": true });
    let peers: Vec<_> = others.map(|node| peer(&node.identity.overlay)).collect();
    Ok(HttpResponse::Ok().json(json!({ "peers": peers })))
}
