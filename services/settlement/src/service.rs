//! The service as its callers ask it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use t4t_api::Serve;
use t4t_api::settlement::{
    Account, AwaitTransaction, GetAccount, SettlementError, SignEnvelope, SubmitTransaction,
    TransactionStatus,
};

use crate::core::Core;
use crate::error;

/// Longest wait of one message.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Settlement: all chain writes and the only wallet.
#[derive(Clone, Debug)]
pub struct SettlementService {
    pub(crate) core: Arc<Core>,
}

#[async_trait]
impl Serve<SubmitTransaction> for SettlementService {
    async fn ask(&self, call: SubmitTransaction) -> Result<TransactionStatus, SettlementError> {
        self.core.submit(call).await
    }
}

#[async_trait]
impl Serve<AwaitTransaction> for SettlementService {
    async fn ask(&self, call: AwaitTransaction) -> Result<TransactionStatus, SettlementError> {
        let limit = Duration::from_millis(call.wait_ms).min(LONGEST_WAIT);
        self.core.wait_for(&call.key, limit).await
    }
}

#[async_trait]
impl Serve<SignEnvelope> for SettlementService {
    async fn ask(&self, call: SignEnvelope) -> Result<String, SettlementError> {
        self.core.sign_envelope(&call)
    }
}

#[async_trait]
impl Serve<GetAccount> for SettlementService {
    async fn ask(&self, _: GetAccount) -> Result<Account, SettlementError> {
        self.core.account().await
    }
}

impl Core {
    async fn account(&self) -> Result<Account, SettlementError> {
        let (contracts, address) = (self.config.contracts, self.scope.wallet);
        // One endpoint that calls the wallet empty would stop the work.
        let held = self.on_chain().await.map_err(|cause| error::chain(&cause))?;
        let (xdai_wei, xbzz) = (held.wei, held.xbzz);
        let pending = self.store.transactions_pending_count(self.scope).await;
        let pending = pending.map_err(|cause| error::store(&cause))?;
        Ok(Account {
            address,
            chain_id: self.config.chain_id,
            registry: contracts.registry,
            escrow: contracts.escrow,
            token: contracts.token,
            xdai_wei,
            max_fee_wei: self.heads.fees().max_fee,
            xbzz,
            pending: u32::try_from(pending).unwrap_or(u32::MAX),
        })
    }
}
