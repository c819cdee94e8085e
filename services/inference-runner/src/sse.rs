//! Server-sent events, read from bytes as they come.
//!
//! Cuts may fall anywhere, also inside a character: text is made of whole events only. Lenient where backends differ:
//! a space after the colon or none, any of the three line ends, comments, several `data:` lines, an end without the
//! last empty line, a byte order mark at the start, errors in lines or events of their own. Never fails on what it reads except for length.
//!
//! An event whose data came in one read, on one line, shares that read's bytes.

use bytes::Bytes;
use bytestring::ByteString;

/// The longest event taken, in bytes. Images inside an answer are the longest legal ones.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// A line or an event is longer than [`MAX_EVENT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Reads events out of a stream's bytes.
#[derive(Debug, Default)]
pub struct SseReader {
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    data: Data,
    is_error: bool,
    after_return: bool,
    has_begun: bool,
}

/// The data of an event that has not ended.
#[derive(Debug, Default)]
enum Data {
    #[default]
    Nothing,
    Line(Bytes),
    Lines(Vec<u8>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Line(line) => line.len(),
            Self::Lines(lines) => lines.len(),
        }
    }

    fn add(&mut self, line: Bytes) {
        let mut lines = match std::mem::take(self) {
            Self::Nothing => {
                *self = Self::Line(line);
                return;
            }
            Self::Line(first) => first.to_vec(),
            Self::Lines(lines) => lines,
        };
        lines.push(b'\n');
        lines.extend_from_slice(&line);
        *self = Self::Lines(lines);
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::take(self) {
            Self::Nothing => None,
            Self::Line(line) => Some(line),
            Self::Lines(lines) => Some(lines.into()),
        }
    }
}

/// The bytes as text, shared. What is no UTF-8 becomes U+FFFD.
pub(crate) fn text_of(bytes: Bytes) -> ByteString {
    match std::str::from_utf8(&bytes) {
        Ok(_) => ByteString::try_from(bytes).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

impl SseReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and returns the data of every event they complete. Invalid UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// [`EventTooLong`]; the stream is of no use from there on.
    pub fn feed(&mut self, bytes: &Bytes) -> Result<Vec<ByteString>, EventTooLong> {
        let mut events = Vec::new();
        if bytes.is_empty() {
            return Ok(events);
        }
        let mut start = usize::from(std::mem::take(&mut self.after_return) && bytes[0] == b'\n');
        while let Some(length) = bytes[start..].iter().position(|&byte| matches!(byte, b'\n' | b'\r')) {
            let end = start + length;
            let line = self.ended_line(bytes.slice(start..end))?;
            events.extend(self.take_line(line)?);
            let is_pair = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
            self.after_return = bytes[end] == b'\r' && end + 1 == bytes.len();
            start = end + 1 + usize::from(is_pair);
        }
        self.extend_line(&bytes[start..])?;
        Ok(events)
    }

    /// Ends the stream and returns the event that was not closed by an empty line, if there is one.
    pub fn finish(mut self) -> Option<ByteString> {
        let line = std::mem::take(&mut self.line);
        // What can't be taken any more is lost either way.
        let closed = self.take_line(line.into()).ok().flatten();
        closed.or_else(|| self.take_event())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(EventTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// The line that these bytes end.
    fn ended_line(&mut self, bytes: Bytes) -> Result<Bytes, EventTooLong> {
        if self.line.is_empty() && bytes.len() <= MAX_EVENT_BYTES {
            return Ok(bytes);
        }
        self.extend_line(&bytes)?;
        Ok(std::mem::take(&mut self.line).into())
    }

    fn take_line(&mut self, mut line: Bytes) -> Result<Option<ByteString>, EventTooLong> {
        if !std::mem::replace(&mut self.has_begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line = line.slice(3..);
        }
        if line.is_empty() {
            return Ok(self.take_event());
        }
        if let Some(name) = line.strip_prefix(b"event:") {
            self.is_error = name.trim_ascii() == b"error";
            return Ok(None);
        }
        let data = match line.strip_prefix(b"error:") {
            // A line of llama.cpp's own.
            Some(data) => {
                self.is_error = true;
                data
            }
            None => match line.strip_prefix(b"data:") {
                Some(data) => data,
                None => return Ok(None),
            },
        };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        if self.data.len() + data.len() + 1 > MAX_EVENT_BYTES {
            return Err(EventTooLong);
        }
        self.data.add(line.slice_ref(data));
        Ok(None)
    }

    /// The event's data; an error that is one by its name alone becomes an error object.
    fn take_event(&mut self) -> Option<ByteString> {
        let is_error = std::mem::take(&mut self.is_error);
        let text = text_of(self.data.take()?);
        if !is_error || text.trim_start().starts_with("{\"error\"") {
            return Some(text);
        }
        let said: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|_| serde_json::Value::String(text.to_string()));
        let error = match said.get("error") {
            Some(_) => said.to_string(),
            None => serde_json::json!({ "error": said }).to_string(),
        };
        Some(error.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut reader = SseReader::new();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(reader.feed(&Bytes::copy_from_slice(piece)).unwrap());
        }
        events.extend(reader.finish());
        events.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_event_that_came_in_one_read_is_no_copy() {
        let mut reader = SseReader::new();
        let read = Bytes::from_static(b"data: abc\n\ndata: d");
        let events = reader.feed(&read).unwrap();
        assert_eq!(events[0].as_bytes().as_ptr(), read[6..].as_ptr());
        assert_eq!(reader.feed(&Bytes::from_static(b"ef\n\n")).unwrap(), ["def"]);
    }

    #[test]
    fn all_the_ways_to_write_an_event_are_read() {
        let text = b"\xef\xbb: comment\n\ndata: a\n\ndata:b\r\n\r\nevent: x\rdata: c\r\rid: 1\ndata: d\ndata: e\n\n: ping\n\ndata: [DONE]";
        assert_eq!(read(&[text]), ["a", "b", "c", "d\ne", "[DONE]"]);
    }

    #[test]
    fn a_byte_order_mark_does_not_lose_the_first_event() {
        assert_eq!(read(&[b"\xef\xbb", b"\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"]), ["a"]);
    }

    #[test]
    fn errors_by_name_alone_become_error_objects() {
        let text = b"event: error\ndata: {\"message\":\"m\"}\n\nevent: x\ndata: a\n\nerror: {\"code\":500}\n\nerror: no\n\n";
        assert_eq!(
            read(&[text]),
            [r#"{"error":{"message":"m"}}"#, "a", r#"{"error":{"code":500}}"#, r#"{"error":"no"}"#]
        );
        assert_eq!(read(&[b"event: error\ndata: {\"error\":{}}\n\n"]), [r#"{"error":{}}"#]);
    }

    #[test]
    fn a_character_that_comes_in_two_pieces_is_whole() {
        assert_eq!(read(&[b"data: \xf0\x9f", b"\xa6\x80\n\n"]), ["🦀"]);
        assert_eq!(read(&[b"data: \xf0\x9f"]), ["\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut reader = SseReader::new();
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        let refused = (0..5).find_map(|_| reader.feed(&piece).err());
        assert_eq!(refused, Some(EventTooLong));
        let mut reader = SseReader::new();
        let line = Bytes::from([b"data: ".as_slice(), &piece, b"\n"].concat());
        assert!((0..5).any(|_| reader.feed(&line).is_err()));
    }

    proptest! {
        #[test]
        fn where_the_cuts_fall_makes_no_difference(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let text = [b"data: 1\r\n".as_slice(), &bytes, b"\n\ndata: 2"].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[&text]));
        }
    }
}
