//! Holding what a transaction takes, until it is stored: no two are promised the same money.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use t4t_api::settlement::SettlementError;
use t4t_clock::SharedClock;
use t4t_types::{Address, Xbzz};

use crate::books::{Amounts, Books, Held, Short};
use crate::in_flight::InFlight;
use crate::watching::Watch;

/// Requests that can't be paid make settlement look at all receipts at most this often.
const SETTLED_READ_EVERY_MS: u64 = 1000;

/// Holds what transactions take.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) wallet: Address,
    pub(super) books: Arc<Books>,
    pub(super) watch: Arc<Watch>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) clock: SharedClock,
    /// When the wallet was last read with all receipts looked at before, in milliseconds since 1970.
    pub(super) settled_read_at_ms: AtomicU64,
}

impl Holding {
    /// Holds amounts; what looks short is read again before it is called short.
    pub(super) async fn hold(&self, amounts: &Amounts) -> Result<Result<Held, Short>, SettlementError> {
        if let Ok(held) = self.books.hold(amounts) {
            return Ok(Ok(held));
        }
        self.books.refresh().await?;
        match self.books.hold(amounts) {
            Err(short) if short != Short::Allowance && self.may_settle_first() => {
                // What is in a block already may have been counted twice.
                self.watch.look(true).await?;
                self.books.forget();
                self.books.refresh().await?;
                Ok(self.books.hold(amounts))
            }
            held => Ok(held),
        }
    }

    /// Whether something waits whose receipt would change what is left, and was not looked for just now.
    fn may_settle_first(&self) -> bool {
        let now = self.clock.unix_millis();
        let last = self.settled_read_at_ms.load(Ordering::Relaxed);
        let may = self.in_flight.count() > 0 && now.saturating_sub(last) >= SETTLED_READ_EVERY_MS;
        if may {
            self.settled_read_at_ms.store(now, Ordering::Relaxed);
        }
        may
    }

    /// What is short, as callers are told where `needs` was to be spent.
    pub(super) fn told(&self, short: Short, needs: Xbzz) -> SettlementError {
        let wallet = self.wallet;
        match short {
            Short::Xbzz { has } => SettlementError::OutOfXbzz { wallet, has, needs },
            Short::Wei => SettlementError::OutOfGas { wallet },
            Short::Allowance => SettlementError::Refused {
                reason: "Allowance".into(),
                advice: "other transactions use the allowance up; try again".into(),
            },
            Short::Unknown => {
                SettlementError::Chain { reason: "the wallet's balance could not be read".into() }
            }
        }
    }
}
