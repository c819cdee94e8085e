//! Why a contract refused what is in a block: a receipt does not carry the reason, but the same call on that block's state
//! gives it again.

use t4t_chain::{Attempt, BlockTag, Call, ChainError, Receipt, Revert, Rpc};
use t4t_store::transactions::{StoredCall, StoredTransaction};
use t4t_types::Address;

/// Name of a refusal that nothing could be learnt about.
const UNKNOWN: &str = "Unknown";

/// Asks why a contract refused.
#[derive(Debug)]
pub(super) struct Refusals {
    rpc: Rpc,
    wallet: Address,
}

impl Refusals {
    pub(super) const fn new(rpc: Rpc, wallet: Address) -> Self {
        Self { rpc, wallet }
    }

    /// The contract's error, such as `BadStatus`.
    pub(super) async fn reason(&self, row: &StoredTransaction, receipt: &Receipt) -> String {
        let after = self.refusal_at(&row.call, receipt.block_number).await;
        let found = match after {
            Some(revert) => Some(revert),
            None => self.refusal_at(&row.call, receipt.block_number.saturating_sub(1)).await,
        };
        match found {
            Some(revert) => revert.name().to_owned(),
            None if receipt.gas_used >= row.call.gas_limit => "OutOfGas".to_owned(),
            None => UNKNOWN.to_owned(),
        }
    }

    async fn refusal_at(&self, call: &StoredCall, block: u64) -> Option<Revert> {
        let attempt = Attempt {
            from: self.wallet,
            call: Call { to: call.to, data: call.data.clone() },
            value: call.value,
            gas_limit: call.gas_limit,
        };
        match self.rpc.replay(&attempt, BlockTag::Number(block)).await {
            Err(ChainError::Reverted(revert)) => Some(revert),
            _ => None,
        }
    }
}
