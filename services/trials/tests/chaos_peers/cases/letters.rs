//! Envelopes of any shape, signed or not.

use serde_json::{Map, Value, json};
use t4t_crypto::WalletKey;
use t4t_json::canonical::{Json, canonicalize};
use t4t_types::{Address, UnixSeconds};

/// An envelope before it is signed: any JSON.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    fields: Map<String, Value>,
}

impl Letter {
    /// A good one.
    pub(crate) fn new(
        kind: &str,
        from: Address,
        to: Address,
        ts: UnixSeconds,
        nonce: [u8; 16],
        body: &Value,
    ) -> Self {
        let nonce = format!("0x{}", hex(&nonce));
        let fields = json!({
            "v": 1, "type": kind, "from": from.to_string(), "to": to.to_string(), "ts": ts.get(), "nonce": nonce,
            "body": body,
        });
        let Value::Object(fields) = fields else { unreachable!("it is an object") };
        Self { fields }
    }

    /// The same with another value.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// The same with another value in the body.
    pub(crate) fn with_in_body(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(Value::Object(body)) = self.fields.get_mut("body") {
            body.insert(field.to_owned(), value.into());
        }
        self
    }

    /// The same without a field.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.fields.remove(field);
        self
    }

    /// The same without a field in the body.
    pub(crate) fn without_in_body(mut self, field: &str) -> Self {
        if let Some(Value::Object(body)) = self.fields.get_mut("body") {
            body.remove(field);
        }
        self
    }

    pub(crate) fn field_names(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    pub(crate) fn body_names(&self) -> Vec<String> {
        self.fields
            .get("body")
            .and_then(Value::as_object)
            .map(|body| body.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The bytes, signed by `key` whatever they say.
    pub(crate) fn signed(&self, key: &WalletKey) -> Vec<u8> {
        let unsigned = Value::Object(self.fields.clone());
        let text = Json::from_serializable(&unsigned).map(|json| canonicalize(&json)).unwrap_or_default();
        self.with_signature(&key.sign_message(text.as_bytes()).to_string())
    }

    /// The bytes with any signature.
    pub(crate) fn with_signature(&self, signature: &str) -> Vec<u8> {
        let mut fields = self.fields.clone();
        fields.insert("sig".to_owned(), signature.into());
        Value::Object(fields).to_string().into_bytes()
    }
}

/// Lower-case digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text with one part replaced, wherever it is.
pub(crate) fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace(from, to).into_bytes()
}
