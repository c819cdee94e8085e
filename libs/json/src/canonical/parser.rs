//! The parser: JSON's grammar (RFC 8259), bounded depth, JavaScript's values.

use super::{JsNumber, JsString, Json, JsonError, JsonObject};
use crate::MAX_JSON_DEPTH;

/// Reads one value and nothing after it but white space.
pub(super) fn parse(text: &[u8]) -> Result<Json, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at == text.len() { Ok(value) } else { Err(parser.error()) }
}

struct Parser<'a> {
    text: &'a str,
    /// The next byte to read. Always on a character's boundary: only whole characters are skipped.
    at: usize,
}

impl<'a> Parser<'a> {
    /// Reads a value that `depth` arrays and objects enclose.
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_JSON_DEPTH => Err(JsonError::TooDeep),
            Some(b'{') => self.object(depth + 1).map(Json::Object),
            Some(b'[') => self.array(depth + 1).map(Json::Array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Json, JsonError> {
        let literals = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
        for (name, value) in literals {
            if self.rest().starts_with(name) {
                self.at += name.len();
                return Ok(value);
            }
        }
        Err(self.error())
    }

    fn object(&mut self, depth: usize) -> Result<JsonObject, JsonError> {
        self.expect(b'{')?;
        let mut members = JsonObject::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            // The last of two equal keys wins.
            members.insert(key, self.value(depth)?);
            self.skip_space();
            if self.take(b'}') {
                return Ok(members);
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Json>, JsonError> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(items);
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<JsString, JsonError> {
        self.expect(b'"')?;
        let mut units = Vec::new();
        loop {
            let plain = self.take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20));
            units.extend(plain.encode_utf16());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => units.push(self.escape()?),
                _ => return Err(self.error()),
            }
        }
        self.at += 1;
        Ok(JsString::from(units))
    }

    /// Reads `\` and what follows it, which is always one code unit.
    fn escape(&mut self) -> Result<u16, JsonError> {
        self.expect(b'\\')?;
        let unit = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte.into(),
            Some(b'b') => 0x08,
            Some(b't') => 0x09,
            Some(b'n') => 0x0a,
            Some(b'f') => 0x0c,
            Some(b'r') => 0x0d,
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error()),
        };
        self.at += 1;
        Ok(unit)
    }

    fn unicode_escape(&mut self) -> Result<u16, JsonError> {
        self.expect(b'u')?;
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit =
            digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).ok_or_else(|| self.error())?;
        self.at += 4;
        Ok(unit)
    }

    fn number(&mut self) -> Result<JsNumber, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let number = self.text[start..self.at].parse::<f64>().map_err(|_| JsonError::Syntax { at: start })?;
        JsNumber::new(number).ok_or(JsonError::NumberTooLarge { at: start })
    }

    /// Skips one digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        if self.take_while(|byte| byte.is_ascii_digit()).is_empty() { Err(self.error()) } else { Ok(()) }
    }

    fn skip_space(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// Skips the bytes that `is_wanted` takes. It must not stop inside a character: every test here is on ASCII alone
    /// or takes all that is not.
    fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.bytes().position(|byte| !is_wanted(byte)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.error()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self) -> JsonError {
        JsonError::Syntax { at: self.at }
    }
}
