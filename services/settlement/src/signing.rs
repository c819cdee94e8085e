//! Messages signed by the wallet.

use t4t_api::settlement::{SettlementError, SignEnvelope};
use t4t_crypto::random_bytes;
use t4t_protocol::{UnsignedEnvelope, parse_and_verify};

use crate::core::Core;
use crate::error::invalid;

impl Core {
    /// Signs a message. What a peer could not read is not signed.
    pub(crate) fn sign_envelope(&self, call: &SignEnvelope) -> Result<String, SettlementError> {
        let SignEnvelope { to, message } = call;
        let nonce = random_bytes::<16>().map_err(|cause| invalid(cause.to_string()))?;
        let (from, now) = (self.scope.wallet, self.clock.now());
        let unsigned = UnsignedEnvelope::of(message, from, *to, now, nonce);
        let unsigned = unsigned.map_err(|cause| invalid(cause.to_string()))?;
        let signature = self.wallet.sign_message(unsigned.signing_text().as_bytes());
        let signed = unsigned.with_signature(signature);
        let kind = message.kind().as_str();
        parse_and_verify(&signed).map_err(|cause| invalid(format!("{kind}: {cause}")))?;
        String::from_utf8(signed).map_err(|cause| invalid(cause.to_string()))
    }
}
