//! What a backend sends after its head, cut into JSON texts: server-sent events, lines of JSON, or one piece of it.
//!
//! What it is shows in its first character, not in its content type, which backends and what stands before them get
//! wrong in every way.

use crate::sse::SseReader;

/// A byte order mark in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event or one piece is longer than what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLong {
    /// An event.
    #[error(transparent)]
    Event(#[from] crate::sse::EventTooLong),
    /// A piece of JSON.
    #[error("it sent more than {limit} bytes in one piece")]
    Piece {
        /// The most that is read.
        limit: usize,
    },
}

/// Reads whatever comes.
#[derive(Debug)]
pub(crate) struct Feed {
    reader: Reader,
    limit: usize,
}

#[derive(Debug)]
enum Reader {
    /// Nothing came that tells what it is.
    Waiting(Vec<u8>),
    Events(SseReader),
    Json(JsonReader),
}

impl Feed {
    /// A reader that takes pieces of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { reader: Reader::Waiting(Vec::new()), limit }
    }

    /// Takes the next bytes and returns the texts that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        match &mut self.reader {
            Reader::Events(events) => return Ok(events.feed(bytes)?),
            Reader::Json(json) => return json.feed(bytes),
            Reader::Waiting(waiting) => waiting.extend_from_slice(bytes),
        }
        let Reader::Waiting(waiting) = &mut self.reader else { return Ok(Vec::new()) };
        let is_cut_mark = waiting.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(waiting);
        let text = waiting.strip_prefix(BYTE_ORDER_MARK).unwrap_or(waiting);
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace()).filter(|_| !is_cut_mark).copied();
        let Some(first) = first else {
            return if waiting.len() > self.limit {
                Err(TooLong::Piece { limit: self.limit })
            } else {
                Ok(Vec::new())
            };
        };
        let text = text.to_vec();
        if matches!(first, b'{' | b'[') {
            let mut json = JsonReader::new(self.limit);
            let texts = json.feed(&text);
            self.reader = Reader::Json(json);
            texts
        } else {
            let mut events = SseReader::new();
            let texts = events.feed(&text);
            self.reader = Reader::Events(events);
            Ok(texts?)
        }
    }

    /// Ends it and returns what was not closed, if there is something.
    pub(crate) fn finish(self) -> Option<String> {
        match self.reader {
            Reader::Waiting(_) => None,
            Reader::Events(events) => events.finish(),
            Reader::Json(json) => json.finish(),
        }
    }
}

/// Reads JSON objects, however many and however they are written one after the other.
#[derive(Debug)]
struct JsonReader {
    text: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    limit: usize,
}

impl JsonReader {
    fn new(limit: usize) -> Self {
        Self { text: Vec::new(), depth: 0, in_string: false, is_escaped: false, limit }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut texts = Vec::new();
        for &byte in bytes {
            let is_between = self.depth == 0;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' if !is_between => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if is_between && self.depth == 0 {
                continue;
            }
            self.text.push(byte);
            if self.depth == 0 {
                texts.push(String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned());
            }
            if self.text.len() > self.limit {
                return Err(TooLong::Piece { limit: self.limit });
            }
        }
        Ok(texts)
    }

    fn finish(self) -> Option<String> {
        (!self.text.is_empty()).then(|| String::from_utf8_lossy(&self.text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut feed = Feed::new(1000);
        let mut texts: Vec<String> = Vec::new();
        for piece in pieces {
            texts.extend(feed.feed(piece).unwrap());
        }
        texts.extend(feed.finish());
        texts
    }

    #[test]
    fn events_lines_and_pieces_are_told_apart_by_their_first_character() {
        assert_eq!(read(&[b"data: {\"a\":1}\n\ndata:[DONE]\n\n"]), ["{\"a\":1}", "[DONE]"]);
        assert_eq!(
            read(&[b"{\"a\":1}\n{\"b\":\"}\\\"{\"}\r\n[DONE]"]),
            ["{\"a\":1}", "{\"b\":\"}\\\"{\"}", "[DONE]"]
        );
        assert_eq!(read(&[b"\n {\n \"a\": [1]\n}\n"]), ["{\n \"a\": [1]\n}"]);
        assert_eq!(read(&[b"[{\"error\":1}]"]), ["[{\"error\":1}]"]);
        assert_eq!(read(&[b"{\"a\":"]), ["{\"a\":"]);
        assert_eq!(read(&[b"<html>"]), Vec::<String>::new());
        assert_eq!(read(&[b"  "]), Vec::<String>::new());
    }

    #[test]
    fn one_byte_order_mark_is_skipped_before_events_and_before_json() {
        assert_eq!(read(&[b"\xef", b"\xbb", b"\xbf", b"data: a\n\n"]), ["a"]);
        assert_eq!(read(&[b"\xef\xbb\xbf{\"a\":1}"]), ["{\"a\":1}"]);
    }

    #[test]
    fn a_piece_without_end_is_refused() {
        let mut feed = Feed::new(100);
        assert!(feed.feed(b"{\"a\":\"").is_ok());
        assert_eq!(feed.feed(&[b'x'; 200]), Err(TooLong::Piece { limit: 100 }));
    }

    proptest! {
        #[test]
        fn where_the_cuts_fall_makes_no_difference(
            text in prop_oneof![
                Just("\u{feff}{\"a\":\"é\\\\\\\"}\"}\n{\"b\":[{}]}".to_owned()),
                Just("\u{feff}: x\r\n\r\ndata: é\r\n\r\ndata:b".to_owned()),
                "[{}\\[\\]\"\\\\ \n:da]{0,60}",
            ],
            cuts in proptest::collection::vec(0usize..70, 0..8),
        ) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[text]));
        }
    }
}
