//! `/chunks`: single chunks, which may be messages.

use actix_web::{HttpRequest, HttpResponse, web};
use t4t_swarm::chunk::{Chunk, PAYLOAD_BYTES, SPAN_BYTES};
use t4t_swarm::soc::{HEADER_BYTES, Soc};

use super::bytes::Stored;
use super::error::ApiError;
use super::{Api, ApiData, ApiResult, params, resource};
use crate::network::store::Content;

/// The longest chunk: a single-owner one.
const LONGEST: usize = HEADER_BYTES + SPAN_BYTES + PAYLOAD_BYTES;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/chunks", "POST", [web::post().to(upload)]));
    let read = [web::get().to(download), web::head().to(has)];
    app.service(resource("/chunks/{address}", "GET, HEAD", read));
}

async fn upload(api: ApiData, request: HttpRequest, body: web::Bytes) -> ApiResult {
    let faults = api.network.faults.get();
    if faults.refuse_chunks {
        return Err(ApiError::new(501, "operation is not supported in dev mode"));
    }
    let tag = params::number(&request, "swarm-tag")?.filter(|tag| *tag != 0);
    let stamp = params::stamp(&request)?;
    let batch = stamp.map_or_else(|| params::batch(&request), |stamp| Ok(stamp.batch))?;
    api.check_batch(&batch)?;
    if body.len() < SPAN_BYTES {
        return Err(ApiError::bad_request("insufficient data length"));
    }
    if body.len() > LONGEST {
        return Err(ApiError::new(413, "payload too large"));
    }
    api.injected(faults.upload_error).await?;
    let content = read_chunk(body)?;
    let reference = content.address();
    let arrivals = match stamp {
        Some(stamp) if stamp.signer(&reference) != Some(api.node().identity.ethereum) => {
            return Err(ApiError::bad_request("invalid stamp"));
        }
        Some(_) => {
            api.network.put_stamped(api.node(), content.clone());
            vec![0]
        }
        None => {
            let put = api.put(batch, vec![content.clone()], tag.is_some()).await;
            put.map_err(ApiError::from_upload)?
        }
    };
    spread(&api, &content);
    let mut response = HttpResponse::Created();
    match tag {
        Some(tag) => {
            api.node().tags().count(tag, &arrivals, api.network.now(), None);
            response.insert_header(("Swarm-Tag", tag.to_string()));
        }
        None => api.push_in_vain().await,
    }
    Ok(response.json(Stored { reference }))
}

/// Content if it fits one; only what is longer is taken for a single-owner chunk.
fn read_chunk(body: web::Bytes) -> Result<Content, ApiError> {
    match Chunk::parse(body.clone()) {
        Ok(chunk) => Ok(Content::Chunk(chunk)),
        Err(_) => {
            let soc = Soc::parse(&body).map_err(|_| ApiError::bad_request("chunk data error"))?;
            Ok(Content::Soc(Box::new(soc)))
        }
    }
}

/// Everyone whom the chunk may concern gets it.
pub(super) fn spread(api: &Api, content: &Content) {
    match content {
        Content::Chunk(chunk) => api.network.deliver(chunk, api.index),
        Content::Soc(soc) => api.network.announce(soc, api.index),
    }
}

async fn download(api: ApiData, path: web::Path<String>, request: HttpRequest) -> ApiResult {
    let address = params::reference(&path)?;
    super::bytes::check_retrieval_timeout(&request)?;
    api.injected(api.network.faults.get().download_error).await?;
    let missed = api.network.faults.misses(&address);
    let content = api.look_for(&address).await.filter(|_| !missed);
    let content = content.ok_or_else(|| ApiError::not_found("chunk not found"))?;
    Ok(HttpResponse::Ok().content_type("binary/octet-stream").body(content.to_bytes()))
}

async fn has(api: ApiData, path: web::Path<String>) -> ApiResult {
    let address = params::reference(&path)?;
    match api.network.get(api.node(), &address) {
        Some(_) => Ok(HttpResponse::Ok().finish()),
        None => Err(ApiError::not_found("Not Found")),
    }
}
