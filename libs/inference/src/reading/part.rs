//! A message's content: texts and media, how long they are, and which of them lie elsewhere.

use t4t_json::{JsonKind, Scan, ScanError};

use super::names::Names;
use super::path::At;
use super::value::{Care, ReadText, Weighed, weigh};
use crate::fault::RequestFault;
use crate::media::{COUNTED_MEDIA, MEDIA, TEXTS, foreign};
use crate::size::Length;

/// What was read of a part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: JsonKind,
    /// The length of its text, if it has one.
    pub(super) text: Option<Length>,
    /// Its bytes beside the text and the media.
    pub(super) beside: u64,
    /// All its bytes.
    pub(super) bytes: u64,
    /// Its media, one at least if it has no text.
    pub(super) opaque: u64,
    /// What of it lies elsewhere.
    pub(super) foreign: Option<RequestFault>,
    /// The first field that is given twice in it.
    pub(super) twice: Option<RequestFault>,
}

/// Of several faults the one whose field's name comes first: which one is told does not hang on their order.
#[derive(Debug, Default)]
pub(super) struct First(Option<(String, RequestFault)>);

impl First {
    pub(super) fn add(&mut self, name: &str, fault: Option<RequestFault>) {
        if let Some(fault) = fault
            && self.0.as_ref().is_none_or(|(before, _)| name < before.as_str())
        {
            self.0 = Some((name.to_owned(), fault));
        }
    }

    pub(super) fn fault(self) -> Option<RequestFault> {
        self.0.map(|(_, fault)| fault)
    }
}

/// Reads a part. A backend may feed any of it to its model: some do so with a part's `refusal` and `thinking`.
pub(super) fn part(scan: &mut Scan<'_>, at: At<'_>) -> Result<Part, ScanError> {
    match scan.kind()? {
        JsonKind::Object => object(scan, at),
        JsonKind::Text => {
            let text = scan.text()?;
            let length = Length::of(&text);
            // The comma and the quotes: a hundred thousand empty texts are no empty prompt.
            let bytes = text.written_bytes();
            let text = Some(length);
            Ok(Part { kind: JsonKind::Text, text, beside: 3, bytes, opaque: 0, foreign: None, twice: None })
        }
        kind => {
            let bytes = weigh(scan, Care::Length, None)?.bytes;
            let foreign = Some(foreign(at));
            Ok(Part { kind, text: None, beside: bytes, bytes, opaque: 1, foreign, twice: None })
        }
    }
}

fn object(scan: &mut Scan<'_>, at: At<'_>) -> Result<Part, ScanError> {
    let kind = JsonKind::Object;
    let mut part = Part { kind, text: None, beside: 2, bytes: 2, opaque: 0, foreign: None, twice: None };
    let (mut names, mut twice, mut first) = (Names::default(), None, First::default());
    scan.object(|scan, name, _| {
        let inside = At::Of(&at, &name);
        if names.repeats(name.clone()) {
            twice.get_or_insert_with(|| RequestFault::twice(inside));
        }
        let around = name.written_bytes() + 2;
        if name == "text" && scan.kind()? == JsonKind::Text {
            let text = scan.text()?;
            part.text = Some(Length::of(&text));
            part.bytes += around + text.written_bytes();
            return Ok(());
        }
        let (bytes, nested_twice) = if name == "content" {
            let content = nested(scan, inside)?;
            first.add(&name, content.foreign);
            (content.bytes, content.twice)
        } else {
            let value = weigh(scan, care_for(&name), Some(inside))?;
            first.add(&name, (!is_inside(&name, &value)).then(|| foreign(at)));
            if value.has_content && COUNTED_MEDIA.contains(&&*name) {
                part.opaque += 1;
                // Of a picture the length says nothing.
                part.bytes += around + value.bytes;
                part.beside += value.beside_data;
                part.twice = part.twice.take().or(value.twice);
                return Ok(());
            }
            (value.bytes, value.twice)
        };
        part.bytes += around + bytes;
        part.beside += around + bytes;
        part.twice = part.twice.take().or(nested_twice);
        Ok(())
    })?;
    part.opaque = part.opaque.max(u64::from(part.text.is_none()));
    part.foreign = first.fault();
    part.twice = twice.or(part.twice);
    Ok(part)
}

fn care_for(name: &str) -> Care {
    if name == "data" || MEDIA.contains(&name) { Care::Medium } else { Care::Length }
}

/// Whether nothing of a part's field has to be fetched.
fn is_inside(name: &str, value: &Weighed) -> bool {
    match name {
        text if TEXTS.contains(&text) => true,
        "data" => value.is_bytes,
        medium if MEDIA.contains(&medium) => value.is_inline,
        _ => false,
    }
}

/// What was read of a content inside a part.
struct Nested {
    bytes: u64,
    foreign: Option<RequestFault>,
    twice: Option<RequestFault>,
}

fn nested(scan: &mut Scan<'_>, at: At<'_>) -> Result<Nested, ScanError> {
    match scan.kind()? {
        JsonKind::Array => {
            let mut whole = Nested { bytes: 2, foreign: None, twice: None };
            scan.array(|scan, index| {
                let read = part(scan, At::Item(&at, index))?;
                whole.bytes += read.bytes + 1;
                whole.foreign = whole.foreign.take().or(read.foreign);
                Ok(())
            })?;
            Ok(whole)
        }
        JsonKind::Object => {
            let read = object(scan, at)?;
            Ok(Nested { bytes: read.bytes, foreign: read.foreign, twice: read.twice })
        }
        _ => {
            let bytes = weigh(scan, Care::Length, None)?.bytes;
            Ok(Nested { bytes, foreign: None, twice: None })
        }
    }
}
