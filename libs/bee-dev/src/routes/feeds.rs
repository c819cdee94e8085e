//! `/feeds`: the newest update of a sequential feed.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use t4t_swarm::soc::{Soc, address, feed_update_id};
use t4t_types::Address;

use super::error::ApiError;
use super::{Api, ApiData, ApiResult, params, resource};
use crate::network::store::Content;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    let routes = [web::get().to(latest), web::post().to(manifest)];
    app.service(resource("/feeds/{owner}/{topic}", "GET, POST", routes));
}

#[derive(Deserialize)]
struct Query {
    /// The first index that may be missing.
    #[serde(default)]
    after: u64,
}

async fn latest(api: ApiData, path: web::Path<(String, String)>, query: web::Query<Query>) -> ApiResult {
    let (owner, topic) = (params::owner(&path.0)?, params::bytes32(&path.1, "topic")?);
    let mut newest = None;
    // A feed has no gaps: the first index that is missing ends it.
    for index in query.after.. {
        match update(&api, &owner, &topic, index) {
            Some(soc) => newest = Some((index, soc)),
            None => break,
        }
    }
    let (index, soc) = newest.ok_or_else(|| ApiError::not_found("no update found"))?;
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header(("Swarm-Feed-Index", hex::encode(index.to_be_bytes())))
        .insert_header(("Swarm-Feed-Index-Next", hex::encode((index + 1).to_be_bytes())))
        .insert_header(("Swarm-Soc-Signature", hex::encode(soc.signature())))
        .insert_header(("Swarm-Feed-Resolved-Version", "v2"))
        .insert_header((
            "Access-Control-Expose-Headers",
            "Swarm-Feed-Index, Swarm-Feed-Index-Next, Swarm-Soc-Signature, Swarm-Feed-Resolved-Version",
        ))
        .body(soc.wrapped().payload()))
}

fn update(api: &Api, owner: &Address, topic: &[u8; 32], index: u64) -> Option<Box<Soc>> {
    let address = address(&feed_update_id(topic, index), owner);
    match api.network.get(api.node(), &address)? {
        Content::Soc(soc) => Some(soc),
        Content::Chunk(_) => None,
    }
}

async fn manifest() -> ApiResult {
    Err(ApiError::new(501, "feed manifests are not supported by the development node"))
}
