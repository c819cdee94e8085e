//! What is sealed and stored in Swarm: an app's request and a backend's answer, with what binds them to a job.
//!
//! The app's and the backend's JSON passes through as text, untouched: no number loses digits and no key its place.

use std::fmt;
use std::fmt::Write as _;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use t4t_inference::{MAX_CONTENT_BYTES, MAX_REQUEST_VALUES, MAX_RESPONSE_VALUES};
use t4t_json::{Extent, JsonText, MAX_JSON_DEPTH, Splice, quoted};
use t4t_types::{Address, EncryptionKey, ModelId, RoutingId, UnixSeconds};

use crate::MAX_PAYLOAD_BYTES;

/// More values than a payload has beside what it carries.
const FIELDS_AROUND: usize = 16;

/// More bytes than a payload has beside what it carries.
const ROOM_AROUND: usize = 1024;

/// Version 1: the number 1, and no other, in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct V1;

/// A request, as sealed to the provider. `Debug` leaves the app's request out.
#[derive(Clone)]
pub struct RequestPayload {
    /// The version.
    pub v: V1,
    /// 32 random bytes. Version 1 gives them no meaning; in particular, they are not the routing id.
    pub job_id: [u8; 32],
    /// The gateway's wallet.
    pub client: Address,
    /// The model asked for.
    pub model_id: ModelId,
    /// The app's whole chat request, with `stream: false`.
    pub openai_request: JsonText,
    /// What to seal the answer to.
    pub client_key: EncryptionKey,
    /// When it was made, by the gateway's clock.
    pub ts: UnixSeconds,
}

/// An answer, as sealed to the gateway. `Debug` leaves the backend's answer out.
#[derive(Clone)]
pub struct ResponsePayload {
    /// The version.
    pub v: V1,
    /// The job this answers. Compare it: a provider could send another job's answer.
    pub job_id: RoutingId,
    /// The provider's wallet. Compare it with the one the job was given to.
    pub provider: Address,
    /// The backend's whole response.
    pub openai_response: JsonText,
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
    /// Not text.
    #[error("the payload is not UTF-8 text")]
    NotText,
    /// Not the JSON of such a payload.
    #[error("the payload is malformed")]
    Malformed(#[source] serde_json::Error),
}

/// The fields of a request on the wire, in the live network's order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestFields<'a> {
    v: V1,
    #[serde(deserialize_with = "hex32::deserialize")]
    job_id: [u8; 32],
    client: Address,
    model_id: ModelId,
    #[serde(borrow)]
    openai_request: &'a RawValue,
    #[serde(rename = "clientPssPubKey")]
    client_key: EncryptionKey,
    ts: UnixSeconds,
}

/// The fields of an answer on the wire, in the live network's order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseFields<'a> {
    v: V1,
    job_id: RoutingId,
    provider: Address,
    #[serde(borrow)]
    openai_response: &'a RawValue,
    ts: UnixSeconds,
}

impl RequestPayload {
    /// Reads an opened request; the app's part of it shares the bytes.
    ///
    /// # Errors
    /// [`PayloadError`]; never panics, whatever the bytes.
    pub fn parse(json: Bytes) -> Result<Self, PayloadError> {
        check_size(&json, MAX_REQUEST_VALUES)?;
        let text = ByteString::try_from(json).map_err(|_| PayloadError::NotText)?;
        let fields: RequestFields<'_> = serde_json::from_str(&text).map_err(PayloadError::Malformed)?;
        Ok(Self {
            v: fields.v,
            job_id: fields.job_id,
            client: fields.client,
            model_id: fields.model_id,
            openai_request: JsonText::within(&text, fields.openai_request),
            client_key: fields.client_key,
            ts: fields.ts,
        })
    }

    /// Whether a provider would read this JSON, as far as its size goes. To be asked before anything is paid.
    ///
    /// # Errors
    /// [`PayloadError`], but neither [`PayloadError::Malformed`] nor [`PayloadError::NotText`].
    pub fn check_size(json: &[u8]) -> Result<(), PayloadError> {
        check_size(json, MAX_REQUEST_VALUES)
    }

    /// The JSON to seal, field for field as the live network writes it.
    pub fn to_json(&self) -> Vec<u8> {
        self.to_json_with(Splice::of(self.openai_request.as_str()))
    }

    /// The same with changes in the app's request, which are made on the way.
    pub fn to_json_with(&self, openai_request: Splice<'_>) -> Vec<u8> {
        let mut json = String::with_capacity(self.openai_request.as_str().len() + ROOM_AROUND);
        let (id, client, model) = (hex::encode(self.job_id), self.client, quoted(&self.model_id));
        let head = format_args!(
            r#"{{"v":1,"jobId":"0x{id}","client":"{client}","modelId":{model},"openaiRequest":"#
        );
        let (key, ts) = (self.client_key, self.ts.get());
        let tail = format_args!(r#","clientPssPubKey":"{key}","ts":{ts}}}"#);
        write_around(&mut json, head, openai_request, tail);
        json.into_bytes()
    }
}

impl ResponsePayload {
    /// Reads an opened answer; the backend's part of it shares the bytes.
    ///
    /// # Errors
    /// [`PayloadError`]; never panics, whatever the bytes.
    pub fn parse(json: Bytes) -> Result<Self, PayloadError> {
        check_size(&json, MAX_RESPONSE_VALUES)?;
        let text = ByteString::try_from(json).map_err(|_| PayloadError::NotText)?;
        let fields: ResponseFields<'_> = serde_json::from_str(&text).map_err(PayloadError::Malformed)?;
        Ok(Self {
            v: fields.v,
            job_id: fields.job_id,
            provider: fields.provider,
            openai_response: JsonText::within(&text, fields.openai_response),
            ts: fields.ts,
        })
    }

    /// Whether a gateway would read a payload with this answer, as far as its size goes. To be asked before it is
    /// delivered: what can't be read counts as no answer.
    ///
    /// # Errors
    /// [`PayloadError`], but neither [`PayloadError::Malformed`] nor [`PayloadError::NotText`].
    pub fn takes(openai_response: &str) -> Result<(), PayloadError> {
        let json = openai_response.as_bytes();
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
        let openai_response = Splice::of(self.openai_response.as_str());
        let mut json = String::with_capacity(self.openai_response.as_str().len() + ROOM_AROUND);
        let (job, provider, ts) = (self.job_id, self.provider, self.ts.get());
        let head = format_args!(r#"{{"v":1,"jobId":"{job}","provider":"{provider}","openaiResponse":"#);
        write_around(&mut json, head, openai_response, format_args!(r#","ts":{ts}}}"#));
        json.into_bytes()
    }
}

fn write_around(json: &mut String, head: fmt::Arguments<'_>, inner: Splice<'_>, tail: fmt::Arguments<'_>) {
    json.write_fmt(head).expect("a string takes everything");
    inner.write(json);
    json.write_fmt(tail).expect("a string takes everything");
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

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(de::Error::custom(format!("expected version 1, got {other}"))),
        }
    }
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

/// 32 bytes as `0x` and 64 hexadecimal digits.
mod hex32 {
    use serde::{Deserialize, Deserializer, de};

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
