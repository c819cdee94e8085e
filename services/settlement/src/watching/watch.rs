//! The watch over open transactions: one pass looks for all receipts that are due, in as few requests as it takes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use t4t_api::settlement::SettlementError;
use t4t_clock::SharedClock;
use t4t_store::transactions::{StoredTransaction, TransactionId, TransactionState};
use tokio::sync::{Mutex, MutexGuard};

use super::inclusions::Inclusions;
use super::reorgs::Reorgs;
use super::repair::Repair;
use crate::head::HeadReader;
use crate::in_flight::InFlight;
use crate::journal::Journal;
use crate::stop::Stop;

/// Looks that are due within this time are made together.
const TOGETHER_MS: u64 = 5;

/// Pause between two passes at least, whatever is due.
const SHORTEST_PAUSE: Duration = Duration::from_millis(TOGETHER_MS);

/// Pause after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A stored transaction that was not sent after this time lost its sender.
const LOST_AFTER_MS: u64 = 5_000;

/// Looks after open transactions.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) journal: Journal,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) newest: Arc<HeadReader>,
    pub(super) inclusions: Arc<Inclusions>,
    pub(super) reorgs: Arc<Reorgs>,
    pub(super) repair: Repair,
    /// One look at a time: only its holder changes what was sent before.
    pub(super) looking: Mutex<()>,
}

impl Watch {
    /// Watches until settlement stops.
    pub(crate) async fn run(&self, stop: &Stop, clock: &SharedClock) {
        while !stop.is_stopped() {
            let wait = self.until_next_look();
            tokio::select! {
                () = clock.sleep(wait) => {}
                () = self.in_flight.woken() => continue,
            }
            if stop.is_stopped() {
                return;
            }
            if let Err(error) = self.look(false).await {
                tracing::warn!(%error, "the open transactions could not be looked at");
                clock.sleep(AFTER_FAILURE).await;
            }
        }
    }

    fn until_next_look(&self) -> Duration {
        let now = self.journal.now_ms();
        let look = self.in_flight.next_look_ms().map(|at| Duration::from_millis(at.saturating_sub(now)));
        let head = self.newest.until_due();
        look.map_or(head, |look| look.min(head)).max(SHORTEST_PAUSE)
    }

    /// Has nobody else look until the answer is dropped.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// Looks at all open transactions that are due, or at every one, and does what each needs.
    pub(crate) async fn look(&self, at_all: bool) -> Result<(), SettlementError> {
        let _turn = self.turn().await;
        let sent = self.in_flight.known();
        let open = self.journal.open().await?;
        // Stored before it was sent: what is not open any more was settled meanwhile, and would be looked for for ever.
        let pending: HashSet<TransactionId> =
            open.iter().filter(|row| row.is_pending()).map(|row| row.id).collect();
        sent.into_iter().filter(|id| !pending.contains(id)).for_each(|id| self.in_flight.forget(id));
        let now = self.journal.now_ms();
        let due = open.iter().filter(|row| row.is_pending() && (at_all || self.is_due(row, now)));
        let missing = self.inclusions.include_mined(due.collect()).await?;
        let succession = self.newest.follow(!missing.is_empty()).await?;
        // Whatever can't be repaired now, what was taken back has to be seen.
        let repaired = self.repair.repair(&missing, &open).await;
        if let Some(succession) = succession {
            let included = open.iter().filter(|row| matches!(row.state, TransactionState::Included { .. }));
            self.reorgs.recheck(&included.collect::<Vec<_>>(), succession).await?;
        }
        repaired
    }

    fn is_due(&self, row: &StoredTransaction, now_ms: u64) -> bool {
        match self.in_flight.get(row.id) {
            Some(sent) => sent.next_look_ms <= now_ms.saturating_add(TOGETHER_MS),
            None => row.created_at_ms.saturating_add(LOST_AFTER_MS) <= now_ms,
        }
    }
}
