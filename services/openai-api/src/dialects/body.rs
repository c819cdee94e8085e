//! A body that is to be a JSON object, as every dialect reads it.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;
use t4t_inference::Reading;
use t4t_json::Sound;

use super::surrogates;
use crate::wire::error::Rejection;

/// What some editors and shells put before a text; one is skipped.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body once, without a copy of it. Only where that fails it is looked at again: half a character is replaced,
/// and for anything else the app is told what is wrong.
///
/// # Errors
/// It is no JSON object that everybody can read.
pub(crate) fn read(body: Bytes) -> Result<Reading, Rejection> {
    let trimmed = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body).trim_ascii();
    if trimmed.is_empty() {
        return Err(Rejection::not_json("it is empty"));
    }
    let body = body.slice_ref(trimmed);
    if let Ok(reading) = Reading::of(body.clone()) {
        return Ok(reading);
    }
    let text = std::str::from_utf8(&body).map_err(Rejection::not_json)?;
    let Cow::Owned(replaced) = surrogates::replaced(text) else { return Err(fault_of(text)) };
    Reading::of(replaced.clone().into()).map_err(|_| fault_of(&replaced))
}

/// What is wrong with a text that was refused.
fn fault_of(text: &str) -> Rejection {
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return Rejection::not_json(error);
    }
    if !text.starts_with('{') {
        return Rejection::not_json("it is JSON, but not an object");
    }
    match serde_json::from_str::<Sound>(text) {
        Err(error) => Rejection::unreadable(error),
        Ok(Sound) => Rejection::not_json("it is JSON that not every program reads"),
    }
}
