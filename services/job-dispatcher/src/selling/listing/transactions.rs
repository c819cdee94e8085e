//! Transactions that change the registry's entry.

use std::sync::Arc;

use t4t_api::Settlement;
use t4t_api::settlement::{
    Account, AwaitTransaction, GetAccount, RegistryIntent, SettlementError, SubmitTransaction,
    TransactionKey, TransactionOutcome,
};
use t4t_clock::SharedClock;
use tracing::info;

use super::intake::NotReady;
use crate::selling::problem::SEE_DOCTOR;

/// How long a transaction of the shop window is waited for.
const RECEIPT_WAIT_MS: u64 = 60_000;

/// Sends them and waits for them.
#[derive(Clone)]
pub(super) struct Transactions {
    settlement: Arc<dyn Settlement>,
    clock: SharedClock,
}

impl Transactions {
    pub(super) fn new(settlement: Arc<dyn Settlement>, clock: SharedClock) -> Self {
        Self { settlement, clock }
    }

    /// What the wallet has.
    pub(super) async fn account(&self) -> Result<Account, NotReady> {
        self.settlement.ask(GetAccount {}).await.map_err(NotReady::unknown)
    }

    /// Sends a transaction and waits for it. Its name holds the time, so that the same wish can come up again later.
    pub(super) async fn submit(&self, what: &str, intent: RegistryIntent) -> Result<(), NotReady> {
        let failed = |error: SettlementError| match error {
            SettlementError::OutOfXbzz { .. } => {
                NotReady::certain(format!("{what}: {error}"), "send xBZZ to it")
            }
            SettlementError::OutOfGas { .. } => {
                NotReady::certain(format!("{what}: {error}"), "send xDAI to it")
            }
            SettlementError::Refused { .. } => NotReady::certain(format!("{what}: {error}"), SEE_DOCTOR),
            _ => NotReady::Unknown(format!("{what}: {error}")),
        };
        let key = TransactionKey::new(format!("{what}:{}", self.clock.unix_millis()));
        info!(what, "the registry entry is being changed");
        self.settlement
            .ask(SubmitTransaction { key: key.clone(), intent: intent.into() })
            .await
            .map_err(failed)?;
        let wait = AwaitTransaction { key, wait_ms: RECEIPT_WAIT_MS };
        match self.settlement.ask(wait).await.map_err(failed)?.outcome {
            TransactionOutcome::Mined { .. } => Ok(()),
            TransactionOutcome::Pending => {
                Err(NotReady::Unknown(format!("{what}: the transaction waits for its block")))
            }
            TransactionOutcome::Reverted { reason, .. } => {
                Err(NotReady::certain(format!("{what}: the contract refused it: {reason}"), SEE_DOCTOR))
            }
        }
    }
}
