//! The forms in which a secret could be written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// One form of a secret.
#[derive(Clone)]
pub(super) struct Form {
    /// What the form is called.
    pub(super) name: &'static str,
    /// The bytes to search for.
    pub(super) bytes: Vec<u8>,
}

impl Form {
    fn new(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name, bytes: bytes.into() }
    }
}

/// The forms of a key: whole, and of each half where a half tells by itself.
pub(super) fn of_key(key: &[u8; 32]) -> Vec<Form> {
    let mut reversed = *key;
    reversed.reverse();
    let mut forms = vec![Form::new("decimal digits", decimal(key))];
    for half in [&key[..16], &key[16..]] {
        forms.push(Form::new("raw bytes", half));
        forms.push(Form::new("hexadecimal digits", hex::encode(half)));
        forms.push(Form::new("capital hexadecimal digits", hex::encode_upper(half)));
        forms.push(Form::new("a list of numbers", list(half, ", ")));
        forms.push(Form::new("a dense list of numbers", list(half, ",")));
    }
    for half in [&reversed[..16], &reversed[16..]] {
        forms.push(Form::new("raw bytes, last first", half));
        forms.push(Form::new("hexadecimal digits, last first", hex::encode(half)));
    }
    forms.extend(base64(key));
    forms
}

/// The forms of a text.
pub(super) fn of_text(text: &str) -> Vec<Form> {
    let bytes = text.as_bytes();
    let mut forms = vec![
        Form::new("plain text", bytes),
        Form::new("hexadecimal digits", hex::encode(bytes)),
        Form::new("capital hexadecimal digits", hex::encode_upper(bytes)),
        Form::new("a list of numbers", list(bytes, ", ")),
        Form::new("a dense list of numbers", list(bytes, ",")),
    ];
    let escaped: String = text.bytes().map(escape).collect();
    if escaped != text {
        forms.push(Form::new("escaped for an address", escaped));
    }
    forms.extend(base64(bytes));
    forms
}

/// Base64 of bytes that stand anywhere in a longer row of bytes: what is the same whatever comes before and after.
fn base64(bytes: &[u8]) -> Vec<Form> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let row: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
        // Each digit holds 6 bits: the first ones hold bits of what comes before, the last one of what comes after.
        let (first, end) = ((before * 8).div_ceil(6), row.len() * 8 / 6);
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64 for addresses", &URL_SAFE_NO_PAD)] {
            forms.push(Form::new(name, &engine.encode(&row).as_bytes()[first..end]));
        }
    }
    forms
}

fn list(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(between)
}

fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// A big-endian number's decimal digits.
fn decimal(number: &[u8; 32]) -> String {
    let mut left = number.to_vec();
    let mut digits = Vec::new();
    while left.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u16;
        for byte in &mut left {
            let value = rest << 8 | u16::from(*byte);
            *byte = u8::try_from(value / 10).expect("the rest is below 10, so it fits");
            rest = value % 10;
        }
        digits.push(char::from(b'0' + u8::try_from(rest).expect("a digit")));
    }
    digits.iter().rev().collect()
}
