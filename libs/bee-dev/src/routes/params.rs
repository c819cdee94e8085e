//! Reading paths and headers as the real node does.

use actix_web::HttpRequest;
use t4t_swarm::stamp::{STAMP_BYTES, Stamp};
use t4t_types::{Address, BatchId, SwarmRef};

use super::error::ApiError;

/// A header's text; one that is not ASCII counts as absent.
pub(super) fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// A header that is true or false, in the spellings Go knows.
pub(super) fn flag(request: &HttpRequest, name: &'static str, default: bool) -> Result<bool, ApiError> {
    match header(request, name) {
        None => Ok(default),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some(_) => Err(ApiError::invalid("header", name, "invalid syntax")),
    }
}

/// A header that is a number.
pub(super) fn number(request: &HttpRequest, name: &'static str) -> Result<Option<u64>, ApiError> {
    let read = |text: &str| text.parse().map_err(|_| ApiError::invalid("header", name, "invalid syntax"));
    header(request, name).map(read).transpose()
}

/// The batch that pays.
pub(super) fn batch(request: &HttpRequest) -> Result<BatchId, ApiError> {
    let name = "swarm-postage-batch-id";
    let text = header(request, name).ok_or_else(|| ApiError::invalid("header", name, "want required:"))?;
    text.parse().map_err(|_| ApiError::invalid("header", name, "invalid hex or length"))
}

/// A stamp made by the client, if one came along.
pub(super) fn stamp(request: &HttpRequest) -> Result<Option<Stamp>, ApiError> {
    let Some(text) = header(request, "swarm-postage-stamp") else { return Ok(None) };
    let mut bytes = [0; STAMP_BYTES];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(Some(Stamp::from_bytes(&bytes))),
        Err(_) => Err(ApiError::bad_request("Stamp deserialization failure")),
    }
}

/// A reference in the path. Encrypted ones are longer, and not supported.
pub(super) fn reference(text: &str) -> Result<SwarmRef, ApiError> {
    if text.len() == 128 {
        return Err(ApiError::new(501, "encrypted references are not supported by the development node"));
    }
    text.parse().map_err(|_| ApiError::invalid("path", "address", "invalid hex or length"))
}

/// 32 bytes in the path.
pub(super) fn bytes32(text: &str, field: &'static str) -> Result<[u8; 32], ApiError> {
    let mut bytes = [0; 32];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| ApiError::invalid("path", field, "invalid hex or length"))?;
    Ok(bytes)
}

/// An owner's address in the path, with or without `0x`.
pub(super) fn owner(text: &str) -> Result<Address, ApiError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    format!("0x{digits}").parse().map_err(|_| ApiError::invalid("path", "owner", "invalid hex or length"))
}
