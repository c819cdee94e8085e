//! What is sealed and stored in Swarm: an app's request and a backend's answer, with what binds them to a job.
//!
//! The app's and the backend's JSON passes through as text, untouched: no number loses digits and no key its place.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use t4t_types::{Address, EncryptionKey, ModelId, RoutingId, UnixSeconds};

use crate::{MAX_CONTENT_BYTES, MAX_JSON_DEPTH, MAX_PAYLOAD_BYTES, MAX_REQUEST_VALUES, MAX_RESPONSE_VALUES};

/// More values than a payload has beside what it carries.
const FIELDS_AROUND: usize = 16;

/// Version 1: the number 1, and no other, in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct V1;

/// A request, as sealed to the provider. `Debug` leaves the app's request out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPayload {
    /// The version.
    pub v: V1,
    /// 32 random bytes. Version 1 gives them no meaning; in particular, they are not the routing id.
    #[serde(with = "hex32")]
    pub job_id: [u8; 32],
    /// The gateway's wallet.
    pub client: Address,
    /// The model asked for.
    pub model_id: ModelId,
    /// The app's whole chat request, with `stream: false`.
    pub openai_request: Box<RawValue>,
    /// What to seal the answer to.
    #[serde(rename = "clientPssPubKey")]
    pub client_key: EncryptionKey,
    /// When it was made, by the gateway's clock.
    pub ts: UnixSeconds,
}

/// An answer, as sealed to the gateway. `Debug` leaves the backend's answer out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponsePayload {
    /// The version.
    pub v: V1,
    /// The job this answers. Compare it: a provider could send another job's answer.
    pub job_id: RoutingId,
    /// The provider's wallet. Compare it with the one the job was given to.
    pub provider: Address,
    /// The backend's whole response.
    pub openai_response: Box<RawValue>,
    /// When it was made, by the provider's clock.
    pub ts: UnixSeconds,
}

/// An opened payload that is not one.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Larger than what is read.
    #[error("a payload has at most {MAX_PAYLOAD_BYTES} bytes, got {bytes}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Arrays and objects nest deeper than what is read.
    #[error("a payload is nested at most {MAX_JSON_DEPTH} deep")]
    TooDeep,
    /// More values than a reader has room for.
    #[error("a payload of this kind has at most {limit} values")]
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// Not the JSON of such a payload.
    #[error("the payload is malformed")]
    Malformed(#[source] serde_json::Error),
}

impl RequestPayload {
    /// Reads an opened request.
    ///
    /// # Errors
    /// [`PayloadError`]; never panics, whatever the bytes.
    pub fn parse(json: &[u8]) -> Result<Self, PayloadError> {
        parse(json, MAX_REQUEST_VALUES)
    }

    /// Whether a provider would read this JSON, as far as its size goes. To be asked before anything is paid.
    ///
    /// # Errors
    /// [`PayloadError`], but never [`PayloadError::Malformed`].
    pub fn check_size(json: &[u8]) -> Result<(), PayloadError> {
        check_size(json, MAX_REQUEST_VALUES)
    }

    /// The JSON to seal, field for field as the live network writes it.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

impl ResponsePayload {
    /// Reads an opened answer.
    ///
    /// # Errors
    /// [`PayloadError`]; never panics, whatever the bytes.
    pub fn parse(json: &[u8]) -> Result<Self, PayloadError> {
        parse(json, MAX_RESPONSE_VALUES)
    }

    /// Whether a gateway would read a payload with this answer, as far as its size goes. To be asked before it is
    /// delivered: what can't be read counts as no answer.
    ///
    /// # Errors
    /// [`PayloadError`], but never [`PayloadError::Malformed`].
    pub fn takes(openai_response: &RawValue) -> Result<(), PayloadError> {
        let json = openai_response.get().as_bytes();
        if json.len() > MAX_CONTENT_BYTES {
            return Err(PayloadError::TooLarge { bytes: json.len() });
        }
        // The payload is one object more, with few fields.
        let extent = Extent::of(json);
        if extent.depth >= MAX_JSON_DEPTH {
            return Err(PayloadError::TooDeep);
        }
        if extent.values + FIELDS_AROUND > MAX_RESPONSE_VALUES {
            return Err(PayloadError::TooMany { limit: MAX_RESPONSE_VALUES });
        }
        Ok(())
    }

    /// The JSON to seal, field for field as the live network writes it.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

impl fmt::Debug for RequestPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestPayload")
            .field("client", &self.client)
            .field("model_id", &self.model_id)
            .field("ts", &self.ts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResponsePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsePayload")
            .field("job_id", &self.job_id)
            .field("provider", &self.provider)
            .field("ts", &self.ts)
            .finish_non_exhaustive()
    }
}

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(de::Error::custom(format!("expected version 1, got {other}"))),
        }
    }
}

fn parse<'de, T: Deserialize<'de>>(json: &'de [u8], most_values: usize) -> Result<T, PayloadError> {
    check_size(json, most_values)?;
    serde_json::from_slice(json).map_err(PayloadError::Malformed)
}

fn check_size(json: &[u8], most_values: usize) -> Result<(), PayloadError> {
    if json.len() > MAX_PAYLOAD_BYTES {
        return Err(PayloadError::TooLarge { bytes: json.len() });
    }
    // Raw values are skipped without counting; whoever parses them later should not have to.
    let extent = Extent::of(json);
    if extent.depth > MAX_JSON_DEPTH {
        return Err(PayloadError::TooDeep);
    }
    if extent.values > most_values {
        return Err(PayloadError::TooMany { limit: most_values });
    }
    Ok(())
}

fn to_json<T: Serialize>(payload: &T) -> Vec<u8> {
    serde_json::to_vec(payload).expect("strings, numbers and raw JSON always have a JSON form")
}

/// How much there is in a JSON text; some numbers for anything else.
struct Extent {
    /// How deep arrays and objects nest.
    depth: usize,
    /// The most values there can be: one for each comma and each bracket that opens, and one more.
    values: usize,
}

impl Extent {
    fn of(json: &[u8]) -> Self {
        let (mut depth, mut extent) = (0_usize, Self { depth: 0, values: 1 });
        let (mut in_string, mut is_escaped) = (false, false);
        for byte in json {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => (depth, extent.values) = (depth + 1, extent.values + 1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => extent.values += 1,
                _ => {}
            }
            extent.depth = extent.depth.max(depth);
        }
        extent
    }
}

/// 32 bytes as `0x` and 64 hexadecimal digits.
mod hex32 {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("0x").ok_or_else(|| de::Error::custom("expected 0x"))?;
        hex::decode_to_slice(digits, &mut bytes).map_err(de::Error::custom)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
