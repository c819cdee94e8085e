//! Server-sent events, as every dialect writes them.

use bytes::Bytes;
use serde::Serialize;

/// What keeps a silent connection open.
pub(crate) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keepalive\n\n");

/// The end of a stream that went well.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// One event.
pub(crate) fn event(data: &impl Serialize) -> Vec<u8> {
    let mut bytes = b"data: ".to_vec();
    serde_json::to_writer(&mut bytes, data).expect("chunks have text keys and vectors take every write");
    bytes.extend_from_slice(b"\n\n");
    bytes
}

/// One event whose data is JSON already.
pub(crate) fn event_of(json: &str) -> Vec<u8> {
    [b"data: ", json.as_bytes(), b"\n\n"].concat()
}
