//! Transactions that are given up: they are in no block, and would do nothing if they came into one.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_store::transactions::{Inclusion, StoredTransaction};

use crate::books::Books;
use crate::head::Heads;
use crate::in_flight::InFlight;
use crate::journal::Journal;
use crate::nonces::Lane;
use crate::outcomes::Outcomes;

/// Ends transactions that are given up.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) journal: Journal,
    pub(super) heads: Arc<Heads>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) books: Arc<Books>,
    pub(super) lane: Arc<Lane>,
    pub(super) outcomes: Arc<Outcomes>,
}

impl Closing {
    /// Ends a transaction that is in no block and does nothing if it comes into one.
    pub(super) async fn close(&self, row: &StoredTransaction, why: &str) -> Result<(), SettlementError> {
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
        self.journal.include(row.id, &inclusion).await?;
        self.journal.finalize(&[row.id]).await?;
        self.in_flight.forget(row.id);
        self.books.forget();
        // Its nonce is free again.
        self.lane.reset().await;
        self.outcomes.announce();
        Ok(())
    }
}
