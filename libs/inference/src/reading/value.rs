//! Any value of a request: how long it is, and what a backend could make of it.

use std::borrow::Cow;

use serde_json::Number;
use t4t_json::{JsonKind, Scan, ScanError};

use super::names::Names;
use super::path::At;
use crate::fault::RequestFault;
use crate::media::{ADDRESSES, BYTES, DESCRIPTIONS, MEDIUM_DATA, holds_bytes, is_address, is_data};
use crate::size::{bytes_of_text, digits_of};

/// What is to be known of a value beside its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// Nothing.
    Length,
    /// Whether it could be an address.
    Address,
    /// Whether it is a medium inside the request.
    Medium,
}

/// What was read of a value. What nobody asked for is false.
#[derive(Debug)]
pub(super) struct Weighed {
    pub(super) kind: JsonKind,
    /// Its length as compact JSON, with every digit of its numbers.
    pub(super) bytes: u64,
    /// Whether some text in it could be an address or a path.
    pub(super) holds_address: bool,
    /// Whether it is a medium's bytes.
    pub(super) is_bytes: bool,
    /// Whether it is a medium that has to be fetched from nowhere.
    pub(super) is_inline: bool,
    /// Whether it is a text or an object with something in it.
    pub(super) has_content: bool,
    /// What a medium says beside its data.
    pub(super) beside_data: u64,
    /// The first field that is given twice in it, where objects are looked into.
    pub(super) twice: Option<RequestFault>,
}

impl Weighed {
    fn new(kind: JsonKind, bytes: u64) -> Self {
        Self {
            kind,
            bytes,
            holds_address: false,
            is_bytes: false,
            is_inline: false,
            has_content: false,
            beside_data: 0,
            twice: None,
        }
    }
}

/// The bytes of a field: its name, its value, the colon and the comma.
pub(super) fn bytes_of_field(name: &str, value: u64) -> u64 {
    bytes_of_text(name) + value + 2
}

/// A text as the scan reads it.
pub(super) trait ReadText {
    /// Its length in JSON: what came without an escape has none.
    fn written_bytes(&self) -> u64;
}

impl ReadText for Cow<'_, str> {
    fn written_bytes(&self) -> u64 {
        match self {
            Self::Borrowed(text) => 2 + text.len() as u64,
            Self::Owned(text) => bytes_of_text(text),
        }
    }
}

/// Reads a value; with `at`, fields that are given twice in it and in the objects right inside are found.
pub(super) fn weigh(scan: &mut Scan<'_>, care: Care, at: Option<At<'_>>) -> Result<Weighed, ScanError> {
    match scan.kind()? {
        JsonKind::Object => object(scan, care, at),
        JsonKind::Array => array(scan, care),
        JsonKind::Text => scan.text().map(|text| weigh_text(text, care)),
        JsonKind::Number => scan.number().map(|number| Weighed::new(JsonKind::Number, length_of(number))),
        kind @ (JsonKind::Null | JsonKind::Bool) => {
            scan.word()?;
            Ok(Weighed { is_inline: kind == JsonKind::Null, ..Weighed::new(kind, 5) })
        }
    }
}

fn weigh_text(text: Cow<'_, str>, care: Care) -> Weighed {
    Weighed {
        holds_address: care != Care::Length && is_address(&text),
        is_bytes: care == Care::Medium && holds_bytes(&text),
        is_inline: care == Care::Medium && is_data(&text),
        has_content: !text.is_empty(),
        ..Weighed::new(JsonKind::Text, text.written_bytes())
    }
}

/// The digits of a number, as many as it had.
fn length_of(number: &str) -> u64 {
    if number.len() <= 18 && !number.contains(['.', 'e', 'E']) {
        return number.len() as u64;
    }
    let read: Result<Number, _> = serde_json::from_str(number);
    read.map_or(number.len() as u64, |number| digits_of(&number))
}

fn array(scan: &mut Scan<'_>, care: Care) -> Result<Weighed, ScanError> {
    let mut whole = Weighed { is_inline: true, ..Weighed::new(JsonKind::Array, 2) };
    scan.array(|scan, _| {
        let item = weigh(scan, care, None)?;
        whole.bytes += item.bytes + 1;
        whole.holds_address |= item.holds_address;
        whole.is_inline &= item.is_inline;
        Ok(())
    })?;
    Ok(whole)
}

fn object(scan: &mut Scan<'_>, care: Care, at: Option<At<'_>>) -> Result<Weighed, ScanError> {
    let mut whole = Weighed { is_inline: true, ..Weighed::new(JsonKind::Object, 2) };
    let (mut names, mut twice) = (Names::default(), None);
    scan.object(|scan, name, _| {
        let inside = at.as_ref().map(|at| At::Of(at, &name));
        if let Some(inside) = inside
            && names.repeats(name.clone())
        {
            twice.get_or_insert_with(|| RequestFault::twice(inside));
        }
        let value = weigh(scan, care, inside)?;
        whole.has_content = true;
        let bytes = name.written_bytes() + value.bytes + 2;
        whole.bytes += bytes;
        if value.kind != JsonKind::Text || !MEDIUM_DATA.contains(&&*name) {
            whole.beside_data += bytes;
        }
        whole.holds_address |= value.holds_address;
        whole.is_inline &= describes_inline(&name, &value);
        if whole.twice.is_none() {
            whole.twice = value.twice;
        }
        Ok(())
    })?;
    // The object's own come first.
    whole.twice = twice.or(whole.twice);
    Ok(whole)
}

fn describes_inline(name: &str, value: &Weighed) -> bool {
    match name {
        name if BYTES.contains(&name) => value.is_bytes,
        name if ADDRESSES.contains(&name) => value.is_inline,
        name if DESCRIPTIONS.contains(&name) => {
            !matches!(value.kind, JsonKind::Object | JsonKind::Array) && !value.holds_address
        }
        _ => false,
    }
}
