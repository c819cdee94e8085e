//! The tools that a request offers, and the texts at which its answer is to stop.

use t4t_json::{JsonKind, JsonKinds, Scan, ScanError};

use super::part::First;
use super::value::{Care, ReadText, weigh};
use crate::fault::RequestFault;
use crate::limits::{MAX_STOP_BYTES, MAX_STOPS};
use crate::media::{OF_TOOLS, no_function};

/// What was read of a field.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) bytes: u64,
    pub(super) items: JsonKinds,
    pub(super) fault: Option<RequestFault>,
}

/// Reads the tools; the fault is the first that is no function of the app's: a backend that knew it would search, dial or
/// run something.
pub(super) fn tools(scan: &mut Scan<'_>) -> Result<Read, ScanError> {
    match scan.kind()? {
        JsonKind::Array => {}
        kind => {
            let bytes = weigh(scan, Care::Length, None)?.bytes;
            let fault = || no_function("tools", "is not an array of functions");
            return Ok(Read { bytes, fault: (kind != JsonKind::Null).then(fault), ..Read::default() });
        }
    }
    let mut read = Read { bytes: 2, ..Read::default() };
    scan.array(|scan, index| {
        let kind = scan.kind()?;
        read.items.add(kind);
        let (bytes, fault) = if kind == JsonKind::Object {
            tool(scan, index)?
        } else {
            let bytes = weigh(scan, Care::Length, None)?.bytes;
            (bytes, Some(no_function(&format!("tools[{index}]"), "has no function")))
        };
        read.bytes += bytes + 1;
        read.fault = read.fault.take().or(fault);
        Ok(())
    })?;
    Ok(read)
}

fn tool(scan: &mut Scan<'_>, index: usize) -> Result<(u64, Option<RequestFault>), ScanError> {
    let (mut bytes, mut kind, mut others) = (2, "function".to_owned(), First::default());
    let (mut has_function, mut has_custom) = (false, false);
    scan.object(|scan, name, _| {
        if name == "type" && scan.kind()? == JsonKind::Text {
            let text = scan.text()?;
            bytes += name.written_bytes() + text.written_bytes() + 2;
            kind = text.into_owned();
            return Ok(());
        }
        let value = weigh(scan, Care::Length, None)?;
        bytes += name.written_bytes() + value.bytes + 2;
        match &*name {
            "type" if value.kind == JsonKind::Null => kind = "function".to_owned(),
            "type" => kind.clear(),
            "function" => has_function = value.kind == JsonKind::Object,
            "custom" => has_custom = value.kind == JsonKind::Object,
            known if OF_TOOLS.contains(&known) => {}
            // A word or a number beside it, which some clients add, makes no backend do anything.
            other => {
                let does_something =
                    matches!(value.kind, JsonKind::Object | JsonKind::Array | JsonKind::Bool);
                let fault =
                    || no_function(&format!("tools[{index}].{other}"), "is not a field of a function");
                others.add(other, does_something.then(fault));
            }
        }
        Ok(())
    })?;
    let at = format!("tools[{index}]");
    let fault = match &*kind {
        "function" if !has_function => Some(no_function(&at, "has no function")),
        "custom" if !has_custom => Some(no_function(&at, "has no custom")),
        "function" | "custom" => others.fault(),
        other => Some(no_function(&format!("{at}.type"), &format!("is {other:?}"))),
    };
    Ok((bytes, fault))
}

/// Reads the texts to stop at; the fault is that they are too many or too long.
pub(super) fn stop(scan: &mut Scan<'_>) -> Result<Read, ScanError> {
    let mut read = Read::default();
    let is_fine = match scan.kind()? {
        JsonKind::Array => {
            read.bytes = 2;
            let (mut count, mut fits) = (0, true);
            scan.array(|scan, _| {
                let kind = scan.kind()?;
                read.items.add(kind);
                count += 1;
                read.bytes += stop_text(scan, kind, &mut fits)? + 1;
                Ok(())
            })?;
            fits && count <= MAX_STOPS
        }
        kind => {
            let mut fits = true;
            read.bytes = stop_text(scan, kind, &mut fits)?;
            fits || kind == JsonKind::Null
        }
    };
    if !is_fine {
        let problem =
            format!("stop is a text or up to {MAX_STOPS} texts, each of at most {MAX_STOP_BYTES} bytes");
        read.fault = Some(RequestFault::new("stop", "invalid_value", problem));
    }
    Ok(read)
}

fn stop_text(scan: &mut Scan<'_>, kind: JsonKind, fits: &mut bool) -> Result<u64, ScanError> {
    if kind == JsonKind::Text {
        let text = scan.text()?;
        *fits &= text.len() <= MAX_STOP_BYTES;
        return Ok(text.written_bytes());
    }
    *fits = false;
    Ok(weigh(scan, Care::Length, None)?.bytes)
}
