//! What each behaviour answers.

use serde_json::Value;

use super::Behaviour;
use super::echo::{Echo, TEXT, event};

/// The content type of an answer in one piece.
pub(super) const JSON: &str = "application/json";

/// Bytes of a piece of a long answer.
pub(super) const PIECE: usize = 1 << 16;

/// Bytes of a piece that are searched for tokens.
const SEARCHED: usize = 4096;

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

/// How many tokens are in a piece that leaves, which need not be JSON.
pub(super) fn tokens_in(piece: &[u8]) -> u64 {
    // A text begins early, and looking through a hundred megabytes takes its time.
    let piece = &piece[..piece.len().min(SEARCHED)];
    let Some(start) = piece.windows(TEXT.len()).position(|window| window == TEXT.as_bytes()) else {
        return 0;
    };
    let text = String::from_utf8_lossy(&piece[start + TEXT.len()..]);
    text.split_once('"').map_or(0, |(text, _)| text.split_whitespace().count() as u64)
}

/// The answer to a chat request; in one piece, whatever is asked, if `is_whole`.
pub(super) fn to(request: &Value, behaviour: &Behaviour, is_whole: bool) -> Answer {
    let mut echo = Echo::new(request);
    echo.is_stream &= !is_whole;
    match behaviour {
        Behaviour::Good => echo.good(),
        Behaviour::Whole => {
            echo.is_stream = false;
            echo.good()
        }
        Behaviour::HangBeforeHeaders => {
            Answer { head: None, pieces: Box::new(std::iter::empty()), ending: Ending::Hang }
        }
        Behaviour::HangAfter(tokens) => echo.hang_after(*tokens),
        Behaviour::Refuse(status, body) => match serde_json::from_str(body) {
            Ok(json) => Answer::json(*status, &json),
            Err(_) => Answer::text(*status, body),
        },
        Behaviour::ResetAfter(bytes) => echo.good().ending(Ending::ResetAfter(*bytes)),
        Behaviour::CutInsideCharacter => echo.cut_inside_character(),
        Behaviour::Usage(usage) => echo.answer(usage.as_deref()),
        Behaviour::UsageTimes(times) => echo.answer(Some(&echo.usage(*times).to_string())),
        Behaviour::WrongModel => {
            echo.model = "another-model".into();
            echo.good()
        }
        Behaviour::Bulk(bytes) => echo.bulk(*bytes),
        Behaviour::BulkOfFields(bytes) => echo.bulk_of_fields(*bytes),
        Behaviour::Endless => echo.endless(),
        Behaviour::NotJson => echo.not_json(),
        Behaviour::OnlyComments => Answer::stream(std::iter::repeat(b": keepalive\n\n".to_vec())),
        Behaviour::NoFinishReason => {
            let pieces: Vec<_> = echo.tokens().chain([event("[DONE]")]).collect();
            Answer::stream(pieces)
        }
        Behaviour::NeverCloses => {
            let pieces: Vec<_> = echo.tokens().chain([echo.finish()]).collect();
            Answer::stream(pieces).ending(Ending::Hang)
        }
        Behaviour::EndsEarly => Answer::stream(echo.tokens().collect::<Vec<_>>()),
        Behaviour::NotANumber => echo.not_a_number(),
        Behaviour::ToolCalls => echo.tool_calls(),
        Behaviour::NoStreamOptions if !request["stream_options"].is_null() => {
            Echo::refuse("Extra inputs are not permitted: stream_options")
        }
        Behaviour::NoStreaming if echo.is_stream => Echo::refuse("this server can't stream"),
        Behaviour::NoStreamOptions | Behaviour::NoStreaming => echo.good(),
        Behaviour::ErrorInStream => {
            let error = event(r#"{"error":{"message":"the context is full","type":"x","code":400}}"#);
            Answer::stream([error])
        }
    }
}
