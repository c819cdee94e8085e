//! The service as its callers ask it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use t4t_api::Serve;
use t4t_api::settlement::{
    Account, AwaitTransaction, GetAccount, SettlementError, SignEnvelope, SubmitTransaction,
    TransactionStatus,
};
use t4t_clock::SharedClock;

use crate::account::Accounts;
use crate::outcomes::Outcomes;
use crate::submission::Submission;
use crate::wallet::Wallet;

/// Longest wait of one message.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Settlement: all chain writes and the only wallet.
#[derive(Clone, Debug)]
pub struct SettlementService {
    pub(crate) submission: Arc<Submission>,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clock: SharedClock,
}

#[async_trait]
impl Serve<SubmitTransaction> for SettlementService {
    async fn ask(&self, call: SubmitTransaction) -> Result<TransactionStatus, SettlementError> {
        self.submission.submit(call).await
    }
}

#[async_trait]
impl Serve<AwaitTransaction> for SettlementService {
    async fn ask(&self, call: AwaitTransaction) -> Result<TransactionStatus, SettlementError> {
        let limit = Duration::from_millis(call.wait_ms).min(LONGEST_WAIT);
        self.outcomes.wait_for(&call.key, limit).await
    }
}

#[async_trait]
impl Serve<SignEnvelope> for SettlementService {
    async fn ask(&self, call: SignEnvelope) -> Result<String, SettlementError> {
        self.wallet.sign_envelope(&call, self.clock.now())
    }
}

#[async_trait]
impl Serve<GetAccount> for SettlementService {
    async fn ask(&self, _: GetAccount) -> Result<Account, SettlementError> {
        self.accounts.account().await
    }
}
