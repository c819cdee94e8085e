//! Nonces that another transaction has used: the intent gets a new one, once that is certain.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_store::transactions::StoredTransaction;

use super::closing::Closing;
use super::inclusions::Inclusions;
use crate::in_flight::InFlight;
use crate::journal::FILLED_BY_ANOTHER;
use crate::nonces::{Lane, LostNonces};
use crate::own_keys;
use crate::sending::{Sender, Sending};

/// Gives transactions whose nonce is lost a new one.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) in_flight: Arc<InFlight>,
    pub(super) inclusions: Arc<Inclusions>,
    pub(super) lost: LostNonces,
    pub(super) lane: Arc<Lane>,
    pub(super) sender: Arc<Sender>,
    pub(super) closing: Arc<Closing>,
}

impl Renewal {
    /// Whether an endpoint shows it in a block, whoever was asked first, and it is noted.
    pub(super) async fn is_mined_after_all(&self, row: &StoredTransaction) -> Result<bool, SettlementError> {
        self.inclusions.include_shown_by_any(row).await
    }

    /// The nonce is used up. Unless one of our versions did it, the intent moves to a new one, once that is certain.
    pub(super) async fn renew(&self, row: &StoredTransaction) -> Result<(), SettlementError> {
        if self.inclusions.include_mined(vec![row]).await?.is_empty() {
            return Ok(());
        }
        // Signed anew while one endpoint hides what is mined, it would be sent again and again.
        if self.is_mined_after_all(row).await? {
            return Ok(());
        }
        let was_told = self.in_flight.get(row.id).is_some_and(|sent| sent.nonce_taken);
        if !was_told {
            // Endpoints may differ by a block: believed when it is seen twice.
            self.in_flight.change(row.id, |sent| sent.nonce_taken = true);
            return Ok(());
        }
        if own_keys::is_filler(&row.key) {
            return self.closing.close(row, FILLED_BY_ANOTHER).await;
        }
        if !self.lost.is_lost(row).await? {
            return Ok(());
        }
        tracing::warn!(
            key = row.key,
            nonce = row.nonce,
            "another transaction used the nonce, taking a new one"
        );
        let from = row.nonce.saturating_add(1);
        if let Some(version) = self.lane.store_again(row, from, |_| true).await? {
            self.sender.send(row.id, &version, Sending::First).await;
        }
        Ok(())
    }
}
