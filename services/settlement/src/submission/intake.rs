//! Submissions: idempotent by key, checked, stored, then sent.

use std::sync::Arc;

use t4t_api::settlement::{SettlementError, SubmitTransaction, TransactionKey, TransactionStatus};
use t4t_chain::ContractAddresses;
use t4t_clock::SharedClock;

use super::admission::Admission;
use super::approvals::Approvals;
use super::dispatch::Dispatch;
use super::key_locks::KeyLocks;
use crate::error::invalid;
use crate::intent::{ContractIntent, Intent, OwnIntent, SendFunds};
use crate::outcomes::Outcomes;
use crate::own_keys;

/// Longest key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// Takes transactions.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(super) keys: KeyLocks,
    pub(super) admission: Admission,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) approvals: Approvals,
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) clock: SharedClock,
    pub(super) contracts: ContractAddresses,
}

impl Submission {
    /// Submits a transaction, or returns the state of the one that has the key.
    pub(crate) async fn submit(&self, call: SubmitTransaction) -> Result<TransactionStatus, SettlementError> {
        let key = call.key.as_str();
        check_key(key)?;
        self.submit_once(key, &Intent::Asked(call.intent)).await
    }

    /// Sends money away. No message leads here: only who runs settlement in their own process calls it.
    pub(crate) async fn send_funds(&self, funds: SendFunds) -> Result<TransactionKey, SettlementError> {
        let key = TransactionKey::new(own_keys::funds(self.clock.unix_millis()));
        self.submit_once(key.as_str(), &Intent::Own(OwnIntent::Send(funds))).await?;
        Ok(key)
    }

    /// Sees to the escrow's allowance before the first purchase needs it.
    pub(crate) async fn approve_early(&self) {
        self.approvals.approve_early().await;
    }

    async fn submit_once(&self, key: &str, intent: &Intent) -> Result<TransactionStatus, SettlementError> {
        let _turn = self.keys.lock(key).await;
        if let Some(known) = self.outcomes.find(key).await? {
            return Ok(known);
        }
        self.admission.admit()?;
        let plan = intent.plan(&self.contracts)?;
        self.dispatch.begin().await?;
        let tokens = self.approvals.hold_tokens(&plan).await?;
        match self.dispatch.dispatch(key, intent, plan, Some(tokens)).await? {
            Some(status) => Ok(status),
            None => self.outcomes.known(key).await,
        }
    }
}

fn check_key(key: &str) -> Result<(), SettlementError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(invalid(format!("a key has 1 to {MAX_KEY_BYTES} bytes")));
    }
    match own_keys::reserved_prefix(key) {
        Some(prefix) => Err(invalid(format!("keys that begin with {prefix} are settlement's own"))),
        None => Ok(()),
    }
}
