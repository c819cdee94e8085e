//! One validating pass over a JSON text, without a tree: whoever reads it takes what it needs on the way.
//!
//! It refuses what `serde_json` refuses when it builds a tree, so that a text which passed can be read by everybody after
//! it: half a surrogate pair, a number beyond a double, more than [`MAX_JSON_DEPTH`] levels. Structure is read here;
//! texts with escapes and unusual numbers are left to `serde_json`.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Number;

use crate::extent::{Extent, MAX_JSON_DEPTH};
use crate::kind::JsonKind;

/// Integers of up to so many bytes fit everywhere.
const SHORT_NUMBER: usize = 18;

/// A text that is not JSON, or not JSON that everybody reads. It says where, and quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub struct ScanError {
    /// What is wrong.
    pub problem: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// The byte in it, from 1.
    pub column: usize,
}

/// A pass over a text. Whoever is handed one reads exactly one value with it.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    extent: Extent,
}

impl<'a> Scan<'a> {
    /// Reads the whole text as one value.
    ///
    /// # Errors
    /// [`ScanError`] of `read`, or of what stands behind the value.
    pub fn whole<T>(
        text: &'a str,
        read: impl FnOnce(&mut Self) -> Result<T, ScanError>,
    ) -> Result<(T, Extent), ScanError> {
        let mut scan = Self { text, at: 0, depth: 0, extent: Extent { depth: 0, values: 1 } };
        let value = read(&mut scan)?;
        scan.skip_blanks();
        if scan.at < text.len() {
            return Err(scan.error("trailing characters"));
        }
        Ok((value, scan.extent))
    }

    /// What the next value is.
    ///
    /// # Errors
    /// There is none.
    pub fn kind(&mut self) -> Result<JsonKind, ScanError> {
        self.skip_blanks();
        let first = self.peek().ok_or_else(|| self.error("unexpected end"))?;
        JsonKind::from_first(first).ok_or_else(|| self.error("expected a value"))
    }

    /// Where the scan stands, in bytes.
    pub fn position(&self) -> usize {
        self.at
    }

    /// A piece of the text that was read.
    ///
    /// # Panics
    /// It lies outside.
    pub fn slice(&self, span: Range<usize>) -> &'a str {
        &self.text[span]
    }

    /// Reads a value with `read`, and tells where it stands.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn spanned<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ScanError>,
    ) -> Result<(T, Range<usize>), ScanError> {
        self.skip_blanks();
        let start = self.at;
        let value = read(self)?;
        Ok((value, start..self.at))
    }

    /// Reads an object: `member` is given each name and where that stands, and reads the value.
    ///
    /// # Errors
    /// It is none, or those of `member`.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>, usize) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.enter(b'{')?;
        if !self.is_closed_by(b'}') {
            loop {
                self.skip_blanks();
                let start = self.at;
                if self.peek() != Some(b'"') {
                    return Err(self.error("expected a name in quotes"));
                }
                let name = self.text()?;
                self.expect(b':', "expected `:`")?;
                member(self, name, start)?;
                if self.is_last(b'}', "expected `,` or `}`")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array: `item` is given each place and reads the value.
    ///
    /// # Errors
    /// It is none, or those of `item`.
    pub fn array(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.enter(b'[')?;
        if !self.is_closed_by(b']') {
            for index in 0.. {
                item(self, index)?;
                if self.is_last(b']', "expected `,` or `]`")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is none, or not Unicode.
    pub fn text(&mut self) -> Result<Cow<'a, str>, ScanError> {
        self.expect(b'"', "expected a text")?;
        let start = self.at;
        let (end, is_escaped) = self.end_of_text()?;
        let inner = &self.text[start..end];
        // A mask instead of an early return: it is read many bytes at a time.
        if inner.bytes().fold(false, |found, byte| found | (byte < 0x20)) {
            return Err(self.error("a control character in a text"));
        }
        if !is_escaped {
            self.at = end + 1;
            return Ok(Cow::Borrowed(inner));
        }
        let text: Result<String, _> = serde_json::from_str(&self.text[start - 1..=end]);
        let text = text.map_err(|_| self.error("an escape in a text that is no character"))?;
        self.at = end + 1;
        Ok(Cow::Owned(text))
    }

    /// Where the text that began ends, and whether there is an escape in it.
    fn end_of_text(&self) -> Result<(usize, bool), ScanError> {
        let bytes = self.text.as_bytes();
        let (mut at, mut is_escaped) = (self.at, false);
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            at += found;
            if bytes[at] == b'"' {
                return Ok((at, is_escaped));
            }
            is_escaped = true;
            at += 2;
        }
        Err(self.error("a text without an end"))
    }

    /// Reads a number and returns it as it was written. It fits a double.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn number(&mut self) -> Result<&'a str, ScanError> {
        self.skip_blanks();
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let written = &self.text[start..self.at];
        let is_short = written.len() <= SHORT_NUMBER && !written.contains(['e', 'E']);
        if !is_short && serde_json::from_str::<Number>(written).is_err() {
            return Err(self.error("a number out of range"));
        }
        Ok(written)
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("expected a digit")) } else { Ok(()) }
    }

    /// Reads `null`, `true` or `false`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn word(&mut self) -> Result<&'a str, ScanError> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let word = ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word));
        let word = word.ok_or_else(|| self.error("expected a value"))?;
        self.at += word.len();
        Ok(word)
    }

    /// Reads any value to its last letter.
    ///
    /// # Errors
    /// There is none, or somebody could not read it.
    pub fn skip(&mut self) -> Result<(), ScanError> {
        match self.kind()? {
            JsonKind::Object => self.object(|scan, _, _| scan.skip()),
            JsonKind::Array => self.array(|scan, _| scan.skip()),
            JsonKind::Text => self.text().map(drop),
            JsonKind::Number => self.number().map(drop),
            JsonKind::Null | JsonKind::Bool => self.word().map(drop),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), ScanError> {
        self.skip_blanks();
        if self.peek() != Some(byte) {
            return Err(self.error(problem));
        }
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self, bracket: u8) -> Result<(), ScanError> {
        self.expect(bracket, if bracket == b'{' { "expected an object" } else { "expected an array" })?;
        self.depth += 1;
        self.extent.depth = self.extent.depth.max(self.depth);
        self.extent.values += 1;
        if self.depth >= MAX_JSON_DEPTH {
            return Err(self.error("more than 127 levels"));
        }
        Ok(())
    }

    fn is_closed_by(&mut self, bracket: u8) -> bool {
        self.skip_blanks();
        let is_closed = self.peek() == Some(bracket);
        self.at += usize::from(is_closed);
        is_closed
    }

    fn is_last(&mut self, bracket: u8, problem: &'static str) -> Result<bool, ScanError> {
        if self.is_closed_by(bracket) {
            return Ok(true);
        }
        self.expect(b',', problem)?;
        self.extent.values += 1;
        Ok(false)
    }

    fn error(&self, problem: &'static str) -> ScanError {
        let before = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        ScanError { problem, line, column }
    }
}

#[cfg(test)]
mod tests;
