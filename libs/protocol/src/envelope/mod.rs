//! Envelopes: signed JSON objects that carry one message from one wallet to another.
//!
//! `{v, type, from, to, ts, nonce, body, sig}`. The signature (EIP-191) covers the canonical text of every field but
//! `sig`, known or not. Who may send what, whether it was meant for us and whether it came before are the receiver's
//! questions; here it is only certain who signed it.

mod error;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use t4t_crypto::{Signature, recover_message};
use t4t_types::{Address, UnixSeconds};

pub use self::error::EnvelopeError;
use crate::fields::Fields;
use crate::{FRESHNESS_WINDOW_SECONDS, FieldError, MAX_ENVELOPE_BYTES, Message, MessageKind};
use t4t_json::canonical::{JsNumber, JsString, Json, JsonError, JsonObject, canonicalize};

/// The version that both sides speak.
const VERSION: u8 = 1;

/// An envelope that is ready to be signed.
#[derive(Clone, Debug)]
pub struct UnsignedEnvelope {
    kind: MessageKind,
    from: Address,
    to: Address,
    ts: UnixSeconds,
    nonce: [u8; 16],
    body: Box<RawValue>,
    signing_text: String,
}

/// An envelope whose signature is that of the wallet it names as sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEnvelope {
    /// Who signed it.
    pub from: Address,
    /// Whom it is for. Drop it if that is not us.
    pub to: Address,
    /// When it was signed, by the sender's clock.
    pub ts: UnixSeconds,
    /// Tells the sender's envelopes apart: what was seen once with this nonce is a repetition.
    pub nonce: [u8; 16],
    /// What it says.
    pub message: Message,
}

/// An envelope's fields in the order the live network sends them.
#[derive(Serialize)]
struct Wire<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: MessageKind,
    from: Address,
    to: Address,
    ts: UnixSeconds,
    nonce: String,
    body: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    sig: Option<Signature>,
}

impl UnsignedEnvelope {
    /// Puts a message together. `body` is one of [`crate::JobNotify`], [`crate::JobAck`], [`crate::JobDeliver`], the
    /// one that `kind` names; `nonce` is random.
    ///
    /// # Errors
    /// [`EnvelopeError::Json`] if the body has no JSON form or is no object, [`EnvelopeError::TooLarge`] above
    /// [`MAX_ENVELOPE_BYTES`]. What goes through PSS must also fit [`crate::MAX_PSS_BYTES`]; see
    /// [`Self::with_signature`].
    pub fn new<B: Serialize + ?Sized>(
        kind: MessageKind,
        from: Address,
        to: Address,
        ts: UnixSeconds,
        nonce: [u8; 16],
        body: &B,
    ) -> Result<Self, EnvelopeError> {
        let body = to_raw_value(body).map_err(JsonError::Unserializable)?;
        let mut envelope = Self { kind, from, to, ts, nonce, body, signing_text: String::new() };
        let fields = object(Json::from_serializable(&envelope.wire(None))?)?;
        Fields(&fields).object("body")?;
        envelope.signing_text = canonicalize(&Json::Object(fields));
        check_size(envelope.signing_text.len() + SIGNATURE_FIELD_BYTES)?;
        Ok(envelope)
    }

    /// What the sender's wallet signs (EIP-191): the canonical text of all fields.
    pub fn signing_text(&self) -> &str {
        &self.signing_text
    }

    /// The bytes that go over the wire.
    pub fn with_signature(&self, signature: Signature) -> Vec<u8> {
        serde_json::to_vec(&self.wire(Some(signature)))
            .expect("strings, numbers and raw JSON always have a JSON form")
    }

    fn wire(&self, sig: Option<Signature>) -> Wire<'_> {
        let nonce = format!("0x{}", hex::encode(self.nonce));
        Wire {
            v: VERSION,
            kind: self.kind,
            from: self.from,
            to: self.to,
            ts: self.ts,
            nonce,
            body: &self.body,
            sig,
        }
    }
}

/// Bytes that `,"sig":"0x…"` adds.
const SIGNATURE_FIELD_BYTES: usize = r#","sig":"0x""#.len() + 2 * Signature::BYTES;

/// Reads an envelope and verifies its signature.
///
/// # Errors
/// [`EnvelopeError`]: it is not an envelope, or not signed by the wallet it names. Drop it. Never panics, whatever the
/// bytes.
pub fn parse_and_verify(bytes: &[u8]) -> Result<VerifiedEnvelope, EnvelopeError> {
    check_size(bytes.len())?;
    let mut signed = object(Json::parse(bytes)?)?;
    let signature = take_signature(&mut signed)?;
    let fields = Fields(&signed);
    check_version(fields)?;
    let kind = fields.text("type")?;
    let from = fields.parsed("from", ADDRESS)?;
    let to = fields.parsed("to", ADDRESS)?;
    let ts = fields.time("ts")?;
    let nonce = read_nonce(fields)?;
    fields.object("body")?;

    let signed = Json::Object(signed);
    let signer = recover_message(canonicalize(&signed).as_bytes(), &signature)?;
    if signer != from {
        return Err(EnvelopeError::WrongSigner { claimed: from, signer });
    }
    let message = Message::read(&kind, Fields(&object(signed)?).object("body")?)?;
    Ok(VerifiedEnvelope { from, to, ts, nonce, message })
}

impl VerifiedEnvelope {
    /// Whether it was signed within [`FRESHNESS_WINDOW_SECONDS`] of `now`, before or after.
    pub fn is_fresh(&self, now: UnixSeconds) -> bool {
        self.ts.since(now).max(now.since(self.ts)) <= FRESHNESS_WINDOW_SECONDS
    }
}

const ADDRESS: &str = "an address";

fn check_size(bytes: usize) -> Result<(), EnvelopeError> {
    if bytes > MAX_ENVELOPE_BYTES { Err(EnvelopeError::TooLarge { bytes }) } else { Ok(()) }
}

fn object(json: Json) -> Result<JsonObject, EnvelopeError> {
    match json {
        Json::Object(fields) => Ok(fields),
        _ => Err(FieldError { field: "(whole envelope)", expected: "an object" }.into()),
    }
}

fn take_signature(fields: &mut JsonObject) -> Result<Signature, EnvelopeError> {
    let signature = Fields(fields).parsed("sig", "a signature of 65 bytes")?;
    fields.remove(&JsString::from("sig"));
    Ok(signature)
}

fn check_version(fields: Fields<'_>) -> Result<(), FieldError> {
    match fields.optional("v") {
        Some(Json::Number(number)) if Some(*number) == JsNumber::new(VERSION.into()) => Ok(()),
        _ => Err(FieldError { field: "v", expected: "1" }),
    }
}

fn read_nonce(fields: Fields<'_>) -> Result<[u8; 16], FieldError> {
    let refused = FieldError { field: "nonce", expected: "16 bytes in hexadecimal" };
    let text = fields.text(refused.field)?;
    let mut nonce = [0; 16];
    let decoded = text.strip_prefix("0x").map(|digits| hex::decode_to_slice(digits, &mut nonce));
    match decoded {
        Some(Ok(())) => Ok(nonce),
        _ => Err(refused),
    }
}

#[cfg(test)]
mod tests;
