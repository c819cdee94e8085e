//! Receipts: what a transaction did in its block, or why the contract refused it.

use serde_json::{Value, json};
use t4t_api::settlement::SettlementError;
use t4t_chain::{ChainError, ChainEvent, Receipt, Revert, events};
use t4t_runtime::KillPoint;
use t4t_store::transactions::{Inclusion, StoredCall, StoredTransaction};
use t4t_types::{JobId, Xbzz};

use crate::calls::Plan;
use crate::core::{Core, intent_of};
use crate::error;

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
        let (job, amount) = self.effect(receipt);
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
        self.learn_from(row, receipt.success)?;
        if let Some(reason) = &inclusion.revert {
            tracing::warn!(key = row.key, hash = %receipt.tx, reason, "a transaction was reverted");
            // What it would have taken is still there.
            self.purse.forget();
        }
        Ok(())
    }

    /// Whether payments fail that an endpoint said could be made.
    fn learn_from(&self, row: &StoredTransaction, success: bool) -> Result<(), SettlementError> {
        if Plan::new(&intent_of(row)?, &self.config.contracts)?.spends.is_zero() {
            return Ok(());
        }
        match success {
            true => self.caution.succeeded(),
            false => self.caution.failed(self.now_ms()),
        }
        Ok(())
    }

    /// The job a receipt is about, and what was paid or burned.
    fn effect(&self, receipt: &Receipt) -> (Option<JobId>, Option<Xbzz>) {
        let decoded = receipt.logs.iter().filter_map(|log| events::decode(log, &self.config.contracts));
        let effects = decoded.filter_map(|event| match event {
            ChainEvent::JobPosted { job, .. } | ChainEvent::JobAcked { job } => Some((Some(job), None)),
            ChainEvent::JobClaimed { job, paid, .. } => Some((Some(job), Some(paid))),
            ChainEvent::JobCancelled { job, slash } | ChainEvent::JobTimedOut { job, slash } => {
                Some((Some(job), Some(slash)))
            }
            _ => None,
        });
        effects.into_iter().next().unwrap_or_default()
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
        let question = json!({
            "from": self.scope.wallet,
            "to": call.to,
            "data": format!("0x{}", hex(&call.data)),
            "value": format!("{:#x}", call.value),
            "gas": format!("{:#x}", call.gas_limit),
        });
        let asked = self.rpc.call::<Value>("eth_call", json!([question, format!("{block:#x}")])).await;
        match asked {
            Err(ChainError::Answer { code, message, data }) => {
                Revert::from_answer(code, &message, data.as_ref())
            }
            Err(ChainError::Reverted(revert)) => Some(revert),
            _ => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
