//! Holes in the wallet's sequence, which stop everything behind them: filled with a transaction that does nothing.

use t4t_api::settlement::SettlementError;
use t4t_store::transactions::{Inclusion, StoredCall, StoredTransaction};

use crate::core::Core;
use crate::error;
use crate::intent::{Intent, OwnIntent};
use crate::send::Sending;

/// Keys of transactions that fill a hole.
pub(crate) const KEY_PREFIX: &str = "gap:";

/// Gas of a transfer of the chain's coin.
const TRANSFER_GAS: u64 = 21_000;

/// What a filler's row says if another transaction took its place.
pub(crate) const FILLED_BY_ANOTHER: &str = "FilledByAnother";

/// What a payment's row says if its nonce was not reached before its deadline.
pub(crate) const NEVER_MINED: &str = "NeverMined";

impl Core {
    /// Fills a nonce that no open transaction holds: another program took it, and its transaction got lost.
    pub(crate) async fn fill_gap(&self, nonce: u64) -> Result<(), SettlementError> {
        let open = self.store.transactions_open(self.scope).await.map_err(|cause| error::store(&cause))?;
        if open.iter().any(|row| row.nonce == nonce) {
            return Ok(());
        }
        let wallet = self.scope.wallet;
        let intent = Intent::Own(OwnIntent::nothing(wallet));
        let intent = intent.to_text()?;
        let call = StoredCall { to: wallet, data: Vec::new(), value: 0, gas_limit: TRANSFER_GAS };
        let key = format!("{KEY_PREFIX}{nonce}:{}", self.now_ms());
        tracing::warn!(nonce, "a transaction of another program is missing, filling its place");
        if let Some(stored) = self.store_at(nonce, &key, &intent, &call).await? {
            self.send(stored.id, &stored.version, Sending::First).await;
        }
        Ok(())
    }

    /// The hole was filled by another transaction, so the filler is done with.
    pub(crate) async fn close_gap(&self, row: &StoredTransaction) -> Result<(), SettlementError> {
        self.close(row, FILLED_BY_ANOTHER).await
    }

    /// Ends a transaction that is in no block and does nothing if it comes into one.
    pub(crate) async fn close(&self, row: &StoredTransaction, why: &str) -> Result<(), SettlementError> {
        let head = self.heads.head();
        let inclusion = Inclusion {
            hash: row.hash,
            block: head.map_or(0, |head| head.number),
            block_hash: head.map_or([0; 32], |head| head.hash),
            gas_used: 0,
            fee_wei: 0,
            job: None,
            amount: None,
            revert: Some(why.to_owned()),
        };
        let noted = self.store.transaction_include(row.id, &inclusion, self.now_ms()).await;
        noted.map_err(|cause| error::store(&cause))?;
        self.store.transactions_finalize(&[row.id]).await.map_err(|cause| error::store(&cause))?;
        self.pacing.forget(row.id);
        self.purse.forget();
        // Its nonce is free again.
        self.reset_lane().await;
        self.announce();
        Ok(())
    }
}
