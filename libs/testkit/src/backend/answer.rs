//! An answer as it leaves: its head, its pieces, its end.

use serde_json::Value;

/// The content type of an answer in one piece.
pub(super) const JSON: &str = "application/json";

/// Bytes of a piece of a long answer.
pub(super) const PIECE: usize = 1 << 16;

/// How an answer's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order.
    Close,
    /// Without the body's end.
    Cut,
    /// Not before the caller goes away.
    Hang,
    /// By a reset after so many bytes.
    ResetAfter(usize),
}

/// An answer in pieces.
pub(super) struct Answer {
    /// Status line and headers; `None` sends nothing at all.
    pub(super) head: Option<String>,
    /// The body.
    pub(super) pieces: Box<dyn Iterator<Item = Vec<u8>> + Send>,
    /// The connection's end.
    pub(super) ending: Ending,
}

impl Answer {
    /// Pieces with a head of this status and type.
    pub(super) fn new(
        status: u16,
        content_type: &str,
        pieces: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        Self { head: Some(head), pieces: Box::new(pieces), ending: Ending::Close }
    }

    /// A JSON body.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, JSON, std::iter::once(body.to_string().into_bytes()))
    }

    /// A body that says that it is JSON.
    pub(super) fn body(body: Vec<u8>) -> Self {
        Self::new(200, JSON, std::iter::once(body))
    }

    /// A plain body.
    pub(super) fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain", std::iter::once(body.as_bytes().to_vec()))
    }

    /// Server-sent events.
    pub(super) fn stream(pieces: impl IntoIterator<Item = Vec<u8>, IntoIter: Send + 'static>) -> Self {
        Self::new(200, "text/event-stream", pieces.into_iter())
    }

    /// The same with another end.
    pub(super) fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}
