//! Submissions: idempotent by key, checked, stored, then sent.

use std::time::Duration;

use futures_util::future::BoxFuture;
use t4t_api::settlement::{
    SettlementError, SubmitTransaction, TransactionKey, TransactionOutcome, TransactionStatus,
};
use t4t_runtime::KillPoint;
use t4t_store::transactions::StoredCall;

use crate::core::{Core, status};
use crate::error::{self, invalid};
use crate::intent::{ContractIntent, Intent, OwnIntent, SendFunds};
use crate::send::Sending;

/// Longest key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// Keys that settlement makes itself begin with these.
const OWN_KEYS: [&str; 3] = ["approve:", SEND_PREFIX, crate::gap::KEY_PREFIX];

/// Keys of money that was sent away.
const SEND_PREFIX: &str = "send:";

/// Fees are derived from a block that is at most this old; the watch sees to that unless the chain was away.
const OLDEST_HEAD: Duration = Duration::from_secs(60);

fn check_key(key: &str) -> Result<(), SettlementError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(invalid(format!("a key has 1 to {MAX_KEY_BYTES} bytes")));
    }
    match OWN_KEYS.iter().find(|prefix| key.starts_with(**prefix)) {
        Some(prefix) => Err(invalid(format!("keys that begin with {prefix} are settlement's own"))),
        None => Ok(()),
    }
}

impl Core {
    /// Submits a transaction, or returns the state of the one that has the key.
    pub(crate) async fn submit(&self, call: SubmitTransaction) -> Result<TransactionStatus, SettlementError> {
        let key = call.key.as_str();
        check_key(key)?;
        self.submit_once(key, &Intent::Asked(call.intent)).await
    }

    /// Sends money away. No message leads here: only who runs settlement in their own process calls it.
    pub(crate) async fn send_funds(&self, funds: SendFunds) -> Result<TransactionKey, SettlementError> {
        let key = TransactionKey::new(format!("{SEND_PREFIX}{}", self.now_ms()));
        self.submit_once(key.as_str(), &Intent::Own(OwnIntent::Send(funds))).await?;
        Ok(key)
    }

    async fn submit_once(&self, key: &str, intent: &Intent) -> Result<TransactionStatus, SettlementError> {
        let _turn = self.keys.lock(key).await;
        if let Some(known) = self.find(key).await? {
            return Ok(known);
        }
        self.admit()?;
        self.submit_new(key, intent).await
    }

    /// [`Self::submit_new`] for an approval, which a submission may begin with.
    pub(crate) fn submit_boxed<'a>(
        &'a self,
        key: &'a str,
        intent: &'a Intent,
    ) -> BoxFuture<'a, Result<TransactionStatus, SettlementError>> {
        Box::pin(self.submit_new(key, intent))
    }

    /// Checks, stores and sends. Nothing is stored unless every check passes.
    pub(crate) async fn submit_new(
        &self,
        key: &str,
        intent: &Intent,
    ) -> Result<TransactionStatus, SettlementError> {
        let plan = intent.plan(&self.config.contracts)?;
        self.have_recent_head().await?;
        let tokens = self.hold_tokens(&plan).await?;
        let gas_limit = self.gas(&plan).await?;
        let call = StoredCall { to: plan.call.to, data: plan.call.data, value: plan.value.get(), gas_limit };
        let coin = self.hold_coin(&call).await?;
        let intent = intent.to_text()?;
        let Some(stored) = self.store_new(key, &intent, &call).await? else {
            return self.known(key).await;
        };
        KillPoint::SettlementStored.pass();
        tokens.spent();
        coin.spent();
        self.send(stored.id, &stored.version, Sending::First).await;
        KillPoint::SettlementSent.pass();
        let key = TransactionKey::new(key);
        let (nonce, hash) = (stored.version.nonce, stored.version.hash);
        Ok(TransactionStatus { key, nonce, hash, outcome: TransactionOutcome::Pending })
    }

    /// The state of the transaction that has the key.
    pub(crate) async fn known(&self, key: &str) -> Result<TransactionStatus, SettlementError> {
        let unknown = || SettlementError::UnknownTransaction { key: TransactionKey::new(key) };
        self.find(key).await?.ok_or_else(unknown)
    }

    async fn find(&self, key: &str) -> Result<Option<TransactionStatus>, SettlementError> {
        let row =
            self.store.transaction_by_key(self.scope, key).await.map_err(|cause| error::store(&cause))?;
        Ok(row.as_ref().map(status))
    }

    /// Waits until a transaction is in a block, for at most `limit`.
    pub(crate) async fn wait_for(
        &self,
        key: &TransactionKey,
        limit: Duration,
    ) -> Result<TransactionStatus, SettlementError> {
        let mut changed = self.changed.subscribe();
        let settled = async {
            loop {
                let now = self.known(key.as_str()).await?;
                if now.outcome != TransactionOutcome::Pending || changed.changed().await.is_err() {
                    return Ok(now);
                }
            }
        };
        match t4t_clock::timeout(&*self.clock, limit, settled).await {
            Ok(status) => status,
            Err(t4t_clock::Elapsed) => self.known(key.as_str()).await,
        }
    }

    pub(crate) async fn have_recent_head(&self) -> Result<(), SettlementError> {
        if self.heads.age(self.now_ms()).is_some_and(|age| age < OLDEST_HEAD) {
            return Ok(());
        }
        self.read_head_early().await
    }
}
