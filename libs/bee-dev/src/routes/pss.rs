//! `/pss`: messages that the node mines itself, and subscriptions.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use t4t_swarm::chunk::Chunk;
use t4t_swarm::trojan::{self, MESSAGE_BYTES, Target};
use t4t_swarm::{PssPublicKey, Topic};

use super::error::ApiError;
use super::{ApiData, ApiResult, chunks, params, resource, socket};
use crate::network::messages::Interest;
use crate::network::store::Content;

/// Longest body; from [`MESSAGE_BYTES`] on it only fails later.
const LONGEST_BODY: usize = 4096;
/// Longest target in bytes.
const LONGEST_TARGET: usize = 3;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/pss/send/{topic}/{targets}", "POST", [web::post().to(send)]));
    app.service(resource("/pss/subscribe/{topic}", "GET", [web::get().to(subscribe)]));
}

#[derive(Deserialize)]
struct Query {
    recipient: Option<String>,
}

async fn send(
    api: ApiData,
    path: web::Path<(String, String)>,
    query: web::Query<Query>,
    request: HttpRequest,
    body: web::Bytes,
) -> ApiResult {
    let (topic, targets) = path.into_inner();
    let targets = read_targets(&targets)?;
    let unreadable = |_| ApiError::invalid("query", "recipient", "invalid public key");
    let recipient =
        query.recipient.as_deref().map(str::parse::<PssPublicKey>).transpose().map_err(unreadable)?;
    let batch = params::batch(&request)?;
    if body.len() > LONGEST_BODY {
        return Err(ApiError::new(413, "Request Entity Too Large"));
    }
    api.network.check_batch(api.node(), &batch).map_err(ApiError::from_message)?;
    let failed = || ApiError::new(500, "pss send failed");
    if body.len() > MESSAGE_BYTES {
        return Err(failed());
    }
    api.injected(api.network.faults.get().upload_error).await?;
    let mine =
        move || trojan::wrap(&Topic::of_path(&topic), recipient.as_ref(), &body).ok()?.mine(&targets).ok();
    let mined = web::block(mine).await.ok().flatten().ok_or_else(failed)?;
    let content = Content::Chunk(Chunk::parse(mined.data.into()).map_err(|_| failed())?);
    api.put(batch, vec![content.clone()], false).await.map_err(ApiError::from_message)?;
    chunks::spread(&api, &content);
    api.push_in_vain().await;
    Ok(HttpResponse::Created().json(serde_json::json!({ "code": 201, "message": "Created" })))
}

/// Targets in hexadecimal between commas, all equally long.
fn read_targets(text: &str) -> Result<Vec<Target>, ApiError> {
    let invalid = |error: &str| ApiError::invalid("path", "target", error);
    let lengths_differ =
        text.split(',').any(|target| target.len() != text.split(',').next().map_or(0, str::len));
    if lengths_differ {
        return Err(ApiError::new(500, "pss send failed"));
    }
    let read = |target: &str| {
        let bytes = hex::decode(target).map_err(|_| invalid("invalid hex"))?;
        if bytes.len() > LONGEST_TARGET {
            return Err(invalid("want max:3"));
        }
        Target::from_bytes(&bytes).map_err(|_| invalid("want required:"))
    };
    text.split(',').map(read).collect()
}

async fn subscribe(
    api: ApiData,
    path: web::Path<String>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    socket::subscribe(&api, Interest::Topic(path.into_inner()), &request, body)
}
