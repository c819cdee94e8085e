//! The wallet's key, and all that is signed with it.

use t4t_api::settlement::{SettlementError, SignEnvelope};
use t4t_chain::{Fees, TransactionRequest};
use t4t_crypto::{WalletKey, random_bytes};
use t4t_protocol::{UnsignedEnvelope, parse_and_verify};
use t4t_store::transactions::{StoredCall, StoredVersion, TransactionScope};
use t4t_types::{Address, UnixSeconds};

use crate::error::invalid;

/// The wallet on its chain. Its key stays inside and is erased with it.
#[derive(Debug)]
pub(crate) struct Wallet {
    key: WalletKey,
    scope: TransactionScope,
}

impl Wallet {
    pub(crate) fn new(key: WalletKey, chain_id: u64) -> Self {
        let scope = TransactionScope { chain_id, wallet: key.address() };
        Self { key, scope }
    }

    /// Its address.
    pub(crate) const fn address(&self) -> Address {
        self.scope.wallet
    }

    /// Whose transactions these are, and on which chain.
    pub(crate) const fn scope(&self) -> TransactionScope {
        self.scope
    }

    /// Signs a call with the given nonce. The same arguments give the same bytes.
    pub(crate) fn sign(&self, nonce: u64, call: &StoredCall, fees: Fees) -> StoredVersion {
        let request = TransactionRequest {
            chain_id: self.scope.chain_id,
            nonce,
            to: Some(call.to),
            data: call.data.clone(),
            value: call.value,
            gas_limit: call.gas_limit,
            fees,
        };
        let raw = request.sign(&self.key);
        StoredVersion {
            hash: raw.hash,
            nonce,
            raw: raw.bytes,
            max_fee: fees.max_fee,
            max_priority: fees.max_priority,
            refused: false,
        }
    }

    /// Signs a message. What a peer could not read is not signed.
    pub(crate) fn sign_envelope(
        &self,
        call: &SignEnvelope,
        now: UnixSeconds,
    ) -> Result<String, SettlementError> {
        let SignEnvelope { to, message } = call;
        let nonce = random_bytes::<16>().map_err(|cause| invalid(cause.to_string()))?;
        let unsigned = UnsignedEnvelope::of(message, self.address(), *to, now, nonce);
        let unsigned = unsigned.map_err(|cause| invalid(cause.to_string()))?;
        let signature = self.key.sign_message(unsigned.signing_text().as_bytes());
        let signed = unsigned.with_signature(signature);
        let kind = message.kind().as_str();
        parse_and_verify(&signed).map_err(|cause| invalid(format!("{kind}: {cause}")))?;
        String::from_utf8(signed).map_err(|cause| invalid(cause.to_string()))
    }
}

/// What a version pays for a unit of gas.
pub(crate) const fn fees_of(version: &StoredVersion) -> Fees {
    Fees { max_fee: version.max_fee, max_priority: version.max_priority }
}
