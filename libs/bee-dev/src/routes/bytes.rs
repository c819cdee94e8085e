//! `/bytes`: content of any length.

use actix_web::http::header::{ACCEPT_RANGES, ETAG, RANGE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use t4t_swarm::chunk::{JoinError, Redundancy, join};
use t4t_types::SwarmRef;

use super::error::ApiError;
use super::slow::Slow;
use super::{Api, ApiData, ApiResult, params, resource};
use crate::network::parity::pieces;

/// Where something was stored.
#[derive(Serialize)]
pub(super) struct Stored {
    pub(super) reference: SwarmRef,
}

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/bytes", "POST", [web::post().to(upload)]));
    let read = [web::get().to(download), web::head().to(download)];
    app.service(resource("/bytes/{reference}", "GET, HEAD", read));
    let steward = [web::get().to(retrievable), web::put().to(push_again)];
    app.service(resource("/stewardship/{reference}", "GET, PUT", steward));
}

async fn upload(api: ApiData, request: HttpRequest, body: web::Bytes) -> ApiResult {
    let batch = params::batch(&request)?;
    let deferred = params::flag(&request, "swarm-deferred-upload", true)?;
    let pinned = params::flag(&request, "swarm-pin", false)?;
    if params::flag(&request, "swarm-encrypt", false)? {
        return Err(ApiError::new(501, "encryption is not supported by the development node"));
    }
    let level = redundancy(&request)?;
    api.check_batch(&batch)?;
    api.injected(api.network.faults.get().upload_error).await?;

    let (root, content) = web::block(move || pieces(&body, level))
        .await
        .map_err(|_| ApiError::new(500, "split write all failed"))?;
    let arrivals = api.put(batch, content, deferred).await.map_err(ApiError::from_upload)?;
    if !deferred {
        api.push_in_vain().await;
    }
    let mut response = HttpResponse::Created();
    if deferred || pinned {
        let tag = match params::number(&request, "swarm-tag")? {
            Some(tag) if tag != 0 => tag,
            _ => api.node().tags().create(api.network.now().to_string()).uid,
        };
        api.node().tags().count(tag, &arrivals, api.network.now(), Some(root));
        response.insert_header(("Swarm-Tag", tag.to_string()));
        response.insert_header(("Access-Control-Expose-Headers", "Swarm-Tag"));
    }
    Ok(response.json(Stored { reference: root }))
}

/// The level that real nodes take where none is named is theirs to choose; here it is 0.
fn redundancy(request: &HttpRequest) -> Result<Redundancy, ApiError> {
    let name = "swarm-redundancy-level";
    let level = params::number(request, name)?.unwrap_or(0);
    let known = u8::try_from(level).ok().and_then(Redundancy::of_level);
    known.ok_or_else(|| ApiError::invalid("header", name, "want rLevel:"))
}

async fn download(api: ApiData, path: web::Path<String>, request: HttpRequest) -> ApiResult {
    let reference = params::reference(&path)?;
    check_retrieval_timeout(&request)?;
    api.injected(api.network.faults.get().download_error).await?;
    if api.network.faults.misses(&reference) {
        return Err(ApiError::not_found("Not Found"));
    }
    api.look_for(&reference).await;
    let content = read(&api, reference).await?;
    let rate = api.network.faults.get().download_bytes_a_second;
    if rate > 0 {
        api.network.faults.happened("download at a rate");
    }
    let etag = (ETAG, format!("\"{reference}\""));
    let Some((from, to)) =
        request.headers().get(RANGE).and_then(|range| range_of(range.to_str().ok()?, content.len()))
    else {
        return Ok(HttpResponse::Ok()
            .content_type("application/octet-stream")
            .insert_header(etag)
            .insert_header((ACCEPT_RANGES, "bytes"))
            .body(Slow::new(content, rate, api.network.config.clock.clone())));
    };
    let range = format!("bytes {from}-{}/{}", to - 1, content.len());
    Ok(HttpResponse::PartialContent()
        .content_type("application/octet-stream")
        .insert_header(etag)
        .insert_header(("Content-Range", range))
        .body(content[from..to].to_vec()))
}

async fn read(api: &ApiData, reference: SwarmRef) -> Result<Vec<u8>, ApiError> {
    let reader = Api::clone(api);
    let limit = api.network.config.store_bytes;
    let get = move |address: &SwarmRef| {
        reader.network.get(reader.node(), address).map(|content| content.chunk().clone())
    };
    let joined = web::block(move || join(&reference, get, limit)).await;
    match joined.map_err(|_| ApiError::new(500, "joiner failed"))? {
        Ok(content) => Ok(content),
        Err(JoinError::Missing(address)) if address == reference => Err(ApiError::not_found("Not Found")),
        Err(_) => Err(ApiError::new(500, "joiner failed")),
    }
}

/// A duration as Go writes it; a bare number is the mistake that other clients make.
pub(super) fn check_retrieval_timeout(request: &HttpRequest) -> Result<(), ApiError> {
    let name = "swarm-chunk-retrieval-timeout";
    let Some(text) = params::header(request, name) else { return Ok(()) };
    let unit = text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
    let known = matches!(unit, "ns" | "us" | "µs" | "ms" | "s" | "m" | "h");
    if known && unit.len() < text.len() {
        Ok(())
    } else {
        Err(ApiError::bad_request("could not parse headers"))
    }
}

/// One range of bytes; anything else is answered in full.
fn range_of(text: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = if to.is_empty() { length } else { to.parse::<usize>().ok()?.saturating_add(1).min(length) };
    (from < to).then_some((from, to))
}

async fn retrievable(api: ApiData, path: web::Path<String>) -> ApiResult {
    let reference = params::reference(&path)?;
    let is_retrievable = read(&api, reference).await.is_ok();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "isRetrievable": is_retrievable })))
}

async fn push_again(api: ApiData, path: web::Path<String>, request: HttpRequest) -> ApiResult {
    let reference = params::reference(&path)?;
    let batch = params::batch(&request)?;
    api.check_batch(&batch)?;
    let content = read(&api, reference).await?;
    let (_, content) = pieces(&content, redundancy(&request)?);
    api.put(batch, content, false).await.map_err(ApiError::from_upload)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "code": 200, "message": "OK" })))
}
