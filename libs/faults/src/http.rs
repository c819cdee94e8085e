//! Requests by hand, because what the answers to them do is not always HTTP.

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest request taken, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// `GET` or another.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Headers, with names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body; only with a length told.
    pub(crate) body: Vec<u8>,
}

/// Reads one request; `None` when the connection ends, or what comes is none.
pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > MAX_BYTES || socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut request = head(&String::from_utf8_lossy(&bytes[..head_end]))?;
    let length = request.headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, value)| value.parse::<usize>().ok())?;
    if length > MAX_BYTES {
        return None;
    }
    while bytes.len() < head_end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    request.body = bytes[head_end..head_end + length].to_vec();
    Some(request)
}

fn head(text: &str) -> Option<Request> {
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Request { method, path, headers: lines.filter_map(header).collect(), body: Vec::new() })
}

/// Returns when the other side leaves.
pub(crate) async fn gone(socket: &mut (impl AsyncRead + Unpin)) {
    let mut byte = [0];
    while socket.read(&mut byte).await.is_ok_and(|read| read > 0) {}
}
