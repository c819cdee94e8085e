//! What a backend sends after its head, cut into JSON texts: server-sent events, lines of JSON, or one piece of it.
//!
//! What it is shows in its first character, not in its content type, which backends and what stands before them get
//! wrong in every way.

use bytes::Bytes;
use bytestring::ByteString;

use crate::sse::{SseReader, text_of};

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
    Waiting(Bytes),
    Events(SseReader),
    Json(JsonReader),
}

impl Feed {
    /// A reader that takes pieces of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { reader: Reader::Waiting(Bytes::new()), limit }
    }

    /// Takes the next bytes and returns the texts that they complete; a text that came in one read shares its bytes.
    pub(crate) fn feed(&mut self, bytes: &Bytes) -> Result<Vec<ByteString>, TooLong> {
        let waiting = match &mut self.reader {
            Reader::Events(events) => return Ok(events.feed(bytes)?),
            Reader::Json(json) => return json.feed(bytes),
            Reader::Waiting(waiting) if waiting.is_empty() => bytes.clone(),
            Reader::Waiting(waiting) => [&waiting[..], &bytes[..]].concat().into(),
        };
        let is_cut_mark = waiting.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&waiting);
        let text =
            waiting.strip_prefix(BYTE_ORDER_MARK).map_or(waiting.clone(), |text| waiting.slice_ref(text));
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace()).filter(|_| !is_cut_mark).copied();
        let Some(first) = first else {
            if waiting.len() > self.limit {
                return Err(TooLong::Piece { limit: self.limit });
            }
            self.reader = Reader::Waiting(waiting);
            return Ok(Vec::new());
        };
        self.reader = match first {
            b'{' | b'[' => Reader::Json(JsonReader::new(self.limit)),
            _ => Reader::Events(SseReader::new()),
        };
        self.feed(&text)
    }

    /// Ends it and returns what was not closed, if there is something.
    pub(crate) fn finish(self) -> Option<ByteString> {
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
    /// The start of one whose end has not come.
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

    fn feed(&mut self, bytes: &Bytes) -> Result<Vec<ByteString>, TooLong> {
        let mut texts = Vec::new();
        let mut start = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let was_between = self.depth == 0;
            self.follow(byte);
            let is_between = self.depth == 0;
            if is_between && !was_between {
                texts.push(self.ended(bytes.slice(start..=at)));
            }
            if is_between {
                start = at + 1;
            }
            if self.text.len() + (at + 1 - start) > self.limit {
                return Err(TooLong::Piece { limit: self.limit });
            }
        }
        self.text.extend_from_slice(&bytes[start..]);
        Ok(texts)
    }

    fn follow(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.in_string => self.is_escaped = true,
            b'"' if self.depth > 0 => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// The text that these bytes end.
    fn ended(&mut self, bytes: Bytes) -> ByteString {
        if self.text.is_empty() {
            return text_of(bytes);
        }
        self.text.extend_from_slice(&bytes);
        text_of(std::mem::take(&mut self.text).into())
    }

    fn finish(self) -> Option<ByteString> {
        (!self.text.is_empty()).then(|| text_of(self.text.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut feed = Feed::new(1000);
        let mut texts = Vec::new();
        for piece in pieces {
            texts.extend(feed.feed(&Bytes::copy_from_slice(piece)).unwrap());
        }
        texts.extend(feed.finish());
        texts.iter().map(ToString::to_string).collect()
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
    fn a_text_that_came_in_one_read_is_no_copy() {
        let mut feed = Feed::new(1000);
        let bytes = Bytes::from_static(b" {\"a\":1}{\"b\"");
        let texts = feed.feed(&bytes).unwrap();
        assert_eq!(texts[0].as_bytes().as_ptr(), bytes[1..].as_ptr());
        assert_eq!(feed.feed(&Bytes::from_static(b":2}")).unwrap(), ["{\"b\":2}"]);
    }

    #[test]
    fn one_byte_order_mark_is_skipped_before_events_and_before_json() {
        assert_eq!(read(&[b"\xef", b"\xbb", b"\xbf", b"data: a\n\n"]), ["a"]);
        assert_eq!(read(&[b"\xef\xbb\xbf{\"a\":1}"]), ["{\"a\":1}"]);
    }

    #[test]
    fn a_piece_without_end_is_refused() {
        let mut feed = Feed::new(100);
        assert!(feed.feed(&Bytes::from_static(b"{\"a\":\"")).is_ok());
        assert_eq!(feed.feed(&Bytes::from_static(&[b'x'; 200])), Err(TooLong::Piece { limit: 100 }));
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
