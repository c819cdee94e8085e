//! Handing stored bytes to a node, and what its answer means for the next step.

use std::sync::Arc;

use t4t_chain::{Rpc, SendError};
use t4t_store::transactions::{StoredVersion, TransactionId};

use crate::books::Books;
use crate::in_flight::InFlight;
use crate::journal::Journal;

/// Whether the bytes that are sent were sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// They never left.
    First,
    /// They may have, in an earlier life or in a block that was taken back; blocks are counted from now on.
    TakenUp,
    /// They did, and no block has them yet.
    Again,
}

/// Hands stored bytes to the chain.
#[derive(Debug)]
pub(crate) struct Sender {
    rpc: Rpc,
    journal: Journal,
    in_flight: Arc<InFlight>,
    books: Arc<Books>,
}

impl Sender {
    pub(crate) const fn new(rpc: Rpc, journal: Journal, in_flight: Arc<InFlight>, books: Arc<Books>) -> Self {
        Self { rpc, journal, in_flight, books }
    }

    /// Sends a stored version. Whatever the node says, the transaction stays open: the watch goes on from here.
    pub(crate) async fn send(&self, id: TransactionId, version: &StoredVersion, sending: Sending) {
        let answer = self.rpc.send_raw(&version.raw).await;
        self.in_flight.sent(id, self.journal.now_ms(), sending != Sending::Again);
        if let Err(refusal) = answer {
            self.note_refusal(id, version, sending, &refusal).await;
        }
        self.in_flight.wake();
    }

    async fn note_refusal(
        &self,
        id: TransactionId,
        version: &StoredVersion,
        sending: Sending,
        refusal: &SendError,
    ) {
        let now = self.journal.now_ms();
        tracing::warn!(hash = %version.hash, nonce = version.nonce, %refusal, "a node did not take a transaction");
        match refusal {
            SendError::NonceTooLow { by_all, .. } => {
                // Only bytes that never left before, and that nobody took, are certain to wait nowhere.
                if sending == Sending::First
                    && *by_all
                    && let Err(error) = self.journal.refuse_version(version.hash).await
                {
                    tracing::error!(%error, "a refusal could not be noted");
                }
                self.in_flight.change(id, |sent| (sent.nonce_taken, sent.next_look_ms) = (true, now));
            }
            SendError::FeeTooLow { .. } => self.in_flight.change(id, |sent| {
                sent.fee_too_low = true;
                // The same bytes are refused again and again where the fee limit is reached: that waits its turn.
                if sending != Sending::Again {
                    sent.next_look_ms = now;
                }
            }),
            // What is known of the wallet is too good. More for the fee would be worse: the same bytes wait for money.
            SendError::InsufficientFunds { .. } => {
                self.books.forget();
                self.in_flight.change(id, |sent| sent.unfunded = true);
            }
            // Another one waits at the nonce, one before it is missing, or the answer got lost: the same bytes are
            // sent again, and later with a higher fee.
            SendError::ReplacementUnderpriced { .. }
            | SendError::NonceGap { .. }
            | SendError::Refused { .. }
            | SendError::Unanswered(_) => {}
        }
    }
}
