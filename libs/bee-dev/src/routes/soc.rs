//! `/soc` and `/gsoc`: single-owner chunks and their updates.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use t4t_swarm::chunk::{Chunk, ChunkError, PAYLOAD_BYTES, SPAN_BYTES};
use t4t_swarm::soc::{self, Soc};

use super::bytes::Stored;
use super::error::ApiError;
use super::{ApiData, ApiResult, chunks, params, resource, socket};
use crate::network::batches::StampError;
use crate::network::messages::Interest;
use crate::network::store::Content;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource(
        "/soc/{owner}/{id}",
        "GET, POST",
        [web::post().to(upload), web::get().to(download)],
    ));
    app.service(resource("/gsoc/subscribe/{address}", "GET", [web::get().to(subscribe)]));
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    sig: String,
}

async fn upload(
    api: ApiData,
    path: web::Path<(String, String)>,
    query: web::Query<Query>,
    request: HttpRequest,
    body: web::Bytes,
) -> ApiResult {
    let (owner, id) = (params::owner(&path.0)?, params::bytes32(&path.1, "id")?);
    let mut signature = [0; 65];
    hex::decode_to_slice(&query.sig, &mut signature)
        .map_err(|_| ApiError::invalid("query", "sig", "invalid hex or length"))?;
    let stamp = params::stamp(&request)?;
    let batch = stamp.map_or_else(|| params::batch(&request), |stamp| Ok(stamp.batch))?;
    api.check_batch(&batch)?;
    if body.len() > SPAN_BYTES + PAYLOAD_BYTES {
        return Err(ApiError::new(413, "payload too large"));
    }
    let wrapped = Chunk::parse(body).map_err(|error| match error {
        ChunkError::TooShort(_) => ApiError::bad_request("short chunk data"),
        ChunkError::TooLong(_) => ApiError::new(413, "payload too large"),
    })?;
    let soc =
        Soc::from_parts(id, owner, signature, wrapped).map_err(|_| ApiError::new(401, "invalid chunk"))?;
    api.injected(api.network.faults.get().upload_error).await?;
    let (reference, content) = (soc.address(), Content::Soc(Box::new(soc)));
    if stamp.is_some() {
        api.network.put_stamped(api.node(), content.clone());
    } else {
        // A full bucket is a 400 here, unlike everywhere else.
        let refused = |error| match error {
            StampError::Full => ApiError::bad_request("chunk write error"),
            other => ApiError::from_upload(other),
        };
        api.put(batch, vec![content.clone()], false).await.map_err(refused)?;
    }
    chunks::spread(&api, &content);
    api.push_in_vain().await;
    Ok(HttpResponse::Created().json(Stored { reference }))
}

async fn download(api: ApiData, path: web::Path<(String, String)>) -> ApiResult {
    let (owner, id) = (params::owner(&path.0)?, params::bytes32(&path.1, "id")?);
    let address = soc::address(&id, &owner);
    let missed = api.network.faults.misses(&address);
    match api.network.get(api.node(), &address) {
        Some(Content::Soc(soc)) if !missed => Ok(HttpResponse::Ok()
            .content_type("application/octet-stream")
            .insert_header(("Swarm-Soc-Signature", hex::encode(soc.signature())))
            .body(soc.wrapped().payload())),
        _ => Err(ApiError::not_found("requested chunk cannot be retrieved")),
    }
}

async fn subscribe(
    api: ApiData,
    path: web::Path<String>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let address = params::reference(&path)?;
    socket::subscribe(&api, Interest::Chunk(address), &request, body)
}
