//! Messages signed by the wallet.

use t4t_api::settlement::{SettlementError, SignEnvelope};
use t4t_crypto::random_bytes;
use t4t_protocol::{MessageKind, UnsignedEnvelope, parse_and_verify};

use crate::core::Core;
use crate::error::invalid;

impl Core {
    /// Signs a message. What a peer could not read is not signed.
    pub(crate) fn sign_envelope(&self, call: &SignEnvelope) -> Result<String, SettlementError> {
        let kind = kind(&call.kind)?;
        let nonce = random_bytes::<16>().map_err(|cause| invalid(cause.to_string()))?;
        let (from, now) = (self.scope.wallet, self.clock.now());
        let unsigned = UnsignedEnvelope::new(kind, from, call.to, now, nonce, &call.body);
        let unsigned = unsigned.map_err(|cause| invalid(cause.to_string()))?;
        let signature = self.wallet.sign_message(unsigned.signing_text().as_bytes());
        let signed = unsigned.with_signature(signature);
        parse_and_verify(&signed).map_err(|cause| invalid(format!("{}: {cause}", call.kind)))?;
        String::from_utf8(signed).map_err(|cause| invalid(cause.to_string()))
    }
}

fn kind(name: &str) -> Result<MessageKind, SettlementError> {
    let kind = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    kind.map_err(|_| invalid(format!("kind is job_notify, job_ack or job_deliver, not {name:?}")))
}
