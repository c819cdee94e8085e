//! Takes in a request's body, within bounds.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use t4t_clock::timeout;
use t4t_panics::{Panicked, contain};
use t4t_types::keccak256;

use crate::dialects::{Asked, Dialect};
use crate::error::GatewayError;
use crate::limits::HeldBytes;
use crate::state::Edge;

/// From this length on a body is read off the server's threads, because others wait there.
const LONG: usize = 256 << 10;

/// A body that was taken in and read.
pub(crate) struct ReadBody {
    /// What it asks for.
    pub(crate) asked: Asked,
    /// The hash of its bytes.
    pub(crate) hash: [u8; 32],
    /// The memory it takes.
    pub(crate) held: HeldBytes,
}

/// Takes in and reads a request's body.
pub(crate) async fn read(
    edge: &Edge,
    dialect: &'static dyn Dialect,
    http: &HttpRequest,
    payload: Payload,
) -> Result<ReadBody, GatewayError> {
    let length = check_headers(http.headers(), edge.config.max_body_bytes)?;
    let limit = edge.config.body_timeout;
    let collected = timeout(&*edge.clock, limit, collect(edge, length, payload)).await;
    let (body, held) = collected.map_err(|_| GatewayError::BodyTooSlow { after_s: limit.as_secs() })??;
    let parse = move || dialect.read(body.clone()).map(|asked| (asked, keccak256(&body)));
    let parsed = if held.is_at_least(LONG) {
        // A panic there is this request's, as one here is.
        tokio::task::spawn_blocking(|| contain_now(parse)).await.map_err(|_| Panicked).flatten()?
    } else {
        parse()
    };
    let (asked, hash) = parsed?;
    Ok(ReadBody { asked, hash, held })
}

/// Runs a piece of a request's work on a thread where nothing waits.
fn contain_now<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    contain(async { work() }).now_or_never().unwrap_or(Err(Panicked))
}

/// Refuses what is too long or compressed; returns how long it says that it is.
fn check_headers(headers: &HeaderMap, limit: usize) -> Result<usize, GatewayError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or_default();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limit {
        return Err(GatewayError::BodyTooLong { limit });
    }
    let encoding = text(CONTENT_ENCODING).unwrap_or("identity");
    if encoding.eq_ignore_ascii_case("identity") { Ok(length) } else { Err(GatewayError::Compressed) }
}

/// Puts the body's pieces together: what came in one piece is not copied.
async fn collect(
    edge: &Edge,
    stated: usize,
    mut payload: Payload,
) -> Result<(Bytes, HeldBytes), GatewayError> {
    let limit = edge.config.max_body_bytes;
    let mut held = edge.limits.memory();
    let (mut first, mut body) = (Bytes::new(), BytesMut::new());
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error| GatewayError::BodyBroken { reason: error.to_string() })?;
        let length = first.len() + body.len() + piece.len();
        if length > limit {
            return Err(GatewayError::BodyTooLong { limit });
        }
        held.cover(length)?;
        if length == piece.len() {
            first = piece;
            continue;
        }
        if body.is_empty() {
            // Memory is given for what has come, whatever is said to follow.
            body.reserve(stated.clamp(length, 2 * length.max(LONG)));
            body.extend_from_slice(&std::mem::take(&mut first));
        }
        body.extend_from_slice(&piece);
    }
    let whole = if body.is_empty() { first } else { body.freeze() };
    Ok((whole, held))
}
