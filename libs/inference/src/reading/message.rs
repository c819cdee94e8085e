//! A request's messages.

use std::ops::Range;

use t4t_json::{JsonKind, Scan, ScanError};

use super::found::{Found, MessageShape, Role};
use super::names::Names;
use super::part::{First, part};
use super::path::At;
use super::value::{Care, ReadText, weigh};
use crate::fault::RequestFault;
use crate::media::{OF_MESSAGES, foreign};
use crate::names::{IN_MESSAGES, check_spelling};
use crate::size::{CHARS_PER_MESSAGE, CHARS_PER_OPAQUE_PART, Length, chars_of_json};

/// What is wrong with one message, by which of it is told first.
#[derive(Debug, Default)]
struct Faults {
    twice: Option<RequestFault>,
    spelling: Option<RequestFault>,
    parts: Option<RequestFault>,
}

/// Reads one message.
pub(super) fn message(scan: &mut Scan<'_>, index: usize, found: &mut Found) -> Result<(), ScanError> {
    let (messages, kind) = (At::Field("messages"), scan.kind()?);
    let at = At::Item(&messages, index);
    found.tally.messages += 1;
    let (mut shape, span) = scan.spanned(|scan| match kind {
        JsonKind::Object => object(scan, at, found),
        kind => {
            found.tally.elsewhere += weigh(scan, Care::Length, None)?.bytes;
            let fault = || RequestFault::new(at.to_string(), "invalid_type", "a message is an object");
            found.messages_fault.get_or_insert_with(fault);
            Ok(MessageShape::of(kind))
        }
    })?;
    shape.span = span;
    found.messages.push(shape);
    Ok(())
}

fn object(scan: &mut Scan<'_>, at: At<'_>, found: &mut Found) -> Result<MessageShape, ScanError> {
    let mut shape = MessageShape::of(JsonKind::Object);
    let (mut names, mut faults, mut first, mut beside) =
        (Names::default(), Faults::default(), First::default(), 0);
    scan.object(|scan, name, _| {
        let inside = At::Of(&at, &name);
        if names.repeats(name.clone()) {
            faults.twice.get_or_insert_with(|| RequestFault::twice(inside));
        }
        if faults.spelling.is_none() {
            faults.spelling = check_spelling(&name, format_args!("{at}."), &IN_MESSAGES).err();
        }
        if name == "content" {
            let content = content(scan, inside, &mut shape, found)?;
            first.add(&name, content.foreign);
            faults.parts = faults.parts.take().or(content.twice);
            beside += content.beside;
            return Ok(());
        }
        let bytes = match (&*name, scan.kind()?) {
            ("role", JsonKind::Text) => {
                let role = scan.text()?;
                shape.role = Some(Role::of(&role));
                role.written_bytes()
            }
            ("role", kind) => {
                shape.role = (kind != JsonKind::Null).then_some(Role::NoText);
                weigh(scan, Care::Length, None)?.bytes
            }
            ("tool_calls", kind) => {
                shape.has_odd_calls = !matches!(kind, JsonKind::Array | JsonKind::Null);
                tool_calls(scan, &mut shape, found)?
            }
            (known, _) if OF_MESSAGES.contains(&known) => weigh(scan, Care::Length, None)?.bytes,
            // Who knows what a backend does with it: it passes as long as it could not be an address.
            _ => {
                let value = weigh(scan, Care::Address, None)?;
                first.add(&name, value.holds_address.then(|| foreign(inside)));
                value.bytes
            }
        };
        beside += name.written_bytes() + bytes + 2;
        Ok(())
    })?;
    found.tally.elsewhere += u64::saturating_sub(beside, CHARS_PER_MESSAGE);
    if found.foreign_message.is_none() {
        found.foreign_message = first.fault();
    }
    if found.messages_fault.is_none() {
        found.messages_fault = faults.twice.or(faults.spelling).or(faults.parts);
    }
    Ok(shape)
}

/// What was read of a content.
#[derive(Default)]
struct Content {
    /// Bytes beside what was counted as text.
    beside: u64,
    foreign: Option<RequestFault>,
    twice: Option<RequestFault>,
}

fn content(
    scan: &mut Scan<'_>,
    at: At<'_>,
    shape: &mut MessageShape,
    found: &mut Found,
) -> Result<Content, ScanError> {
    let kind = scan.kind()?;
    shape.content = (kind != JsonKind::Null).then_some(kind);
    shape.odd_part = None;
    match kind {
        JsonKind::Null => scan.word().map(|_| Content::default()),
        JsonKind::Text => {
            let length = Length::of(&scan.text()?);
            found.tally.chars += length.utf16;
            found.tally.likely_chars += length.chars;
            Ok(Content::default())
        }
        JsonKind::Array => parts(scan, at, shape, found),
        JsonKind::Object | JsonKind::Number | JsonKind::Bool => other(scan, at, found),
    }
}

fn parts(
    scan: &mut Scan<'_>,
    at: At<'_>,
    shape: &mut MessageShape,
    found: &mut Found,
) -> Result<Content, ScanError> {
    let mut content = Content::default();
    scan.array(|scan, index| {
        let part = part(scan, At::Item(&at, index))?;
        let tally = &mut found.tally;
        tally.chars += part.text.unwrap_or_default().utf16 + CHARS_PER_OPAQUE_PART * part.opaque;
        tally.likely_chars += part.text.map_or(CHARS_PER_OPAQUE_PART, |text| text.chars);
        tally.opaque += part.opaque;
        content.beside += part.beside;
        content.foreign = content.foreign.take().or(part.foreign);
        content.twice = content.twice.take().or(part.twice);
        if !matches!(part.kind, JsonKind::Text | JsonKind::Object) {
            shape.odd_part.get_or_insert(index);
        }
        Ok(())
    })?;
    Ok(content)
}

/// A content that is neither a text nor parts, which only the rule of the reference knows: what counts is the length of
/// its JSON in the canonical form, and for that alone a tree is built.
fn other(scan: &mut Scan<'_>, at: At<'_>, found: &mut Found) -> Result<Content, ScanError> {
    let is_object = scan.kind()? == JsonKind::Object;
    let ((bytes, foreign), Range { start, end }) = scan.spanned(|scan| {
        if is_object {
            return part(scan, at).map(|part| (part.bytes, part.foreign));
        }
        weigh(scan, Care::Length, None).map(|value| (value.bytes, None))
    })?;
    let json = serde_json::from_str(scan.slice(start..end));
    let chars = json.map_or(CHARS_PER_OPAQUE_PART, |json| chars_of_json(&json));
    found.tally.chars += chars;
    Ok(Content { beside: bytes.saturating_sub(chars), foreign, twice: None })
}

/// Reads the calls of an earlier answer; returns their length.
fn tool_calls(scan: &mut Scan<'_>, shape: &mut MessageShape, found: &mut Found) -> Result<u64, ScanError> {
    if scan.kind()? != JsonKind::Array {
        return Ok(weigh(scan, Care::Length, None)?.bytes);
    }
    let mut bytes = 2;
    scan.array(|scan, _| {
        if scan.kind()? != JsonKind::Object {
            shape.has_odd_calls = true;
            bytes += weigh(scan, Care::Length, None)?.bytes + 1;
            return Ok(());
        }
        bytes += 3;
        let mut id = None;
        scan.object(|scan, name, _| {
            bytes += name.written_bytes() + 2;
            if name != "id" {
                bytes += weigh(scan, Care::Length, None)?.bytes;
                return Ok(());
            }
            id = None;
            if scan.kind()? == JsonKind::Text {
                let text = scan.text()?;
                bytes += text.written_bytes();
                id = Some(text.into_owned());
            } else {
                bytes += weigh(scan, Care::Length, None)?.bytes;
            }
            Ok(())
        })?;
        found.call_ids.extend(id);
        Ok(())
    })?;
    Ok(bytes)
}
