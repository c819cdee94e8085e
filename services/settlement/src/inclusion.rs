//! Receipts: what a transaction did in its block, or why the contract refused it.

use t4t_api::settlement::SettlementError;
use t4t_chain::{Attempt, BlockTag, Call, ChainError, Receipt, Revert, events};
use t4t_runtime::KillPoint;
use t4t_store::transactions::{Inclusion, StoredCall, StoredTransaction};

use crate::core::Core;
use crate::error;
use crate::intent::{ContractIntent, Effect, Intent};

/// Name of a refusal that nothing could be learnt about.
const UNKNOWN: &str = "Unknown";

impl Core {
    /// Notes that a version of a transaction is in a block. To be announced once all that were found are noted.
    pub(crate) async fn include(
        &self,
        row: &StoredTransaction,
        receipt: &Receipt,
    ) -> Result<(), SettlementError> {
        let revert = if receipt.success { None } else { Some(self.revert_reason(row, receipt).await) };
        let intent = Intent::of(row)?;
        let decoded = receipt.logs.iter().filter_map(|log| events::decode(log, &self.config.contracts));
        let Effect { job, amount } = intent.effect_of_all(decoded);
        let inclusion = Inclusion {
            hash: receipt.tx,
            block: receipt.block_number,
            block_hash: *receipt.block_hash.as_bytes(),
            gas_used: receipt.gas_used,
            fee_wei: receipt.effective_gas_price.saturating_mul(receipt.gas_used.into()),
            job,
            amount,
            revert,
        };
        KillPoint::SettlementReceipt.pass();
        let noted = self.store.transaction_include(row.id, &inclusion, self.now_ms()).await;
        noted.map_err(|cause| error::store(&cause))?;
        self.pacing.found(row.id, self.now_ms());
        self.learn_from(&intent, receipt.success)?;
        if let Some(reason) = &inclusion.revert {
            tracing::warn!(key = row.key, hash = %receipt.tx, reason, "a transaction was reverted");
            // What it would have taken is still there.
            self.purse.forget();
        }
        Ok(())
    }

    /// Whether payments fail that an endpoint said could be made.
    fn learn_from(&self, intent: &Intent, success: bool) -> Result<(), SettlementError> {
        if intent.plan(&self.config.contracts)?.spends.is_zero() {
            return Ok(());
        }
        match success {
            true => self.caution.succeeded(),
            false => self.caution.failed(self.now_ms()),
        }
        Ok(())
    }

    /// The contract's error: a receipt does not carry it, but the same call on that block's state gives it again.
    async fn revert_reason(&self, row: &StoredTransaction, receipt: &Receipt) -> String {
        let after = self.revert_at(&row.call, receipt.block_number).await;
        let found = match after {
            Some(revert) => Some(revert),
            None => self.revert_at(&row.call, receipt.block_number.saturating_sub(1)).await,
        };
        match found {
            Some(revert) => revert.name().to_owned(),
            None if receipt.gas_used >= row.call.gas_limit => "OutOfGas".to_owned(),
            None => UNKNOWN.to_owned(),
        }
    }

    async fn revert_at(&self, call: &StoredCall, block: u64) -> Option<Revert> {
        let attempt = Attempt {
            from: self.scope.wallet,
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
