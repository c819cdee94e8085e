//! Takes in a request's body, within bounds.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use t4t_clock::timeout;
use t4t_types::keccak256;

use crate::error::GatewayError;
use crate::limits::HeldBytes;
use crate::state::Edge;
use crate::wire::request::ChatRequest;

/// From this length on a body is read off the server's threads, because others wait there.
const LONG: usize = 256 << 10;

/// A body that was read.
#[derive(Debug)]
pub(crate) struct ReadBody {
    /// The request in it.
    pub(crate) request: ChatRequest,
    /// The hash of its bytes.
    pub(crate) hash: [u8; 32],
    /// The memory it takes.
    pub(crate) held: HeldBytes,
}

/// Takes in and reads a completion's body.
pub(crate) async fn read(
    edge: &Edge,
    http: &HttpRequest,
    payload: Payload,
) -> Result<ReadBody, GatewayError> {
    check_headers(http.headers(), edge.config.max_body_bytes)?;
    let limit = edge.config.body_timeout;
    let collected = timeout(&*edge.clock, limit, collect(edge, payload)).await;
    let (body, held) = collected.map_err(|_| GatewayError::BodyTooSlow { after_s: limit.as_secs() })??;
    let parse = move || ChatRequest::parse(&body).map(|request| (request, keccak256(&body)));
    let parsed = if held.is_at_least(LONG) {
        let broken = |error: tokio::task::JoinError| GatewayError::BodyBroken { reason: error.to_string() };
        tokio::task::spawn_blocking(parse).await.map_err(broken)?
    } else {
        parse()
    };
    let (request, hash) = parsed?;
    Ok(ReadBody { request, hash, held })
}

fn check_headers(headers: &HeaderMap, limit: usize) -> Result<(), GatewayError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(GatewayError::BodyTooLong { limit });
    }
    let encoding = text(CONTENT_ENCODING).unwrap_or("identity");
    if encoding.eq_ignore_ascii_case("identity") { Ok(()) } else { Err(GatewayError::Compressed) }
}

async fn collect(edge: &Edge, mut payload: Payload) -> Result<(Bytes, HeldBytes), GatewayError> {
    let limit = edge.config.max_body_bytes;
    let mut held = edge.limits.memory();
    let mut body = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| GatewayError::BodyBroken { reason: error.to_string() })?;
        let length = body.len() + piece.len();
        if length > limit {
            return Err(GatewayError::BodyTooLong { limit });
        }
        held.cover(length)?;
        body.extend_from_slice(&piece);
    }
    Ok((body.freeze(), held))
}
