//! A transaction whose tokens are seen to: checked, signed, stored, then sent.

use std::sync::Arc;

use t4t_api::settlement::{SettlementError, TransactionKey, TransactionOutcome, TransactionStatus};
use t4t_runtime::KillPoint;
use t4t_store::transactions::StoredCall;
use t4t_types::Xbzz;

use super::estimates::Estimates;
use super::holding::Holding;
use crate::books::{Amounts, Held};
use crate::head::HeadReader;
use crate::intent::{Intent, Plan};
use crate::journal::NewEntry;
use crate::nonces::Lane;
use crate::sending::{Sender, Sending};

/// Signs, stores and sends.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) newest: Arc<HeadReader>,
    pub(super) estimates: Estimates,
    pub(super) holding: Arc<Holding>,
    pub(super) lane: Arc<Lane>,
    pub(super) sender: Arc<Sender>,
}

impl Dispatch {
    /// Has a block to derive fees from.
    pub(super) async fn begin(&self) -> Result<(), SettlementError> {
        self.newest.have_recent().await
    }

    /// Checks, stores and sends; `None` if the key is taken. Nothing is stored unless every check passes. `tokens` is what
    /// is held for it already.
    pub(super) async fn dispatch(
        &self,
        key: &str,
        intent: &Intent,
        plan: Plan,
        tokens: Option<Held>,
    ) -> Result<Option<TransactionStatus>, SettlementError> {
        let gas_limit = self.estimates.gas(&plan).await?;
        let call = StoredCall { to: plan.call.to, data: plan.call.data, value: plan.value.get(), gas_limit };
        let coin = self.hold_coin(&call).await?;
        let intent = intent.to_text()?;
        let entry = NewEntry { key, intent: &intent, call: &call };
        let Some(stored) = self.lane.store_new(entry).await? else { return Ok(None) };
        KillPoint::SettlementStored.pass();
        tokens.into_iter().for_each(Held::spent);
        coin.spent();
        self.sender.send(stored.id, &stored.version, Sending::First).await;
        KillPoint::SettlementSent.pass();
        let (nonce, hash) = (stored.version.nonce, stored.version.hash);
        let outcome = TransactionOutcome::Pending;
        Ok(Some(TransactionStatus { key: TransactionKey::new(key), nonce, hash, outcome }))
    }

    /// Holds the coin that a call costs at most.
    async fn hold_coin(&self, call: &StoredCall) -> Result<Held, SettlementError> {
        let gas = self.newest.heads().fees().most_for(call.gas_limit);
        let needs = Amounts { wei: gas.saturating_add(call.value), ..Amounts::default() };
        self.holding.hold(&needs).await?.map_err(|short| self.holding.told(short, Xbzz::ZERO))
    }
}
