//! What is noted as mined here, and an endpoint does not count: one endpoint may have made its receipt up, and everything
//! behind it waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use t4t_api::settlement::SettlementError;
use t4t_chain::Rpc;

use crate::config::Pace;
use crate::head::Heads;
use crate::journal::Journal;

/// A nonce at which something is noted as mined, and which an endpoint does not count.
#[derive(Clone, Copy, Debug)]
struct Lack {
    /// The newest block when that was first seen.
    since_block: u64,
    /// When its bytes were last sent, in milliseconds since 1970.
    sent_at_ms: u64,
}

/// What is noted as mined here, and an endpoint does not count.
#[derive(Debug)]
pub(crate) struct Uncounted {
    rpc: Rpc,
    journal: Journal,
    heads: Arc<Heads>,
    pace: Pace,
    lacks: Mutex<BTreeMap<u64, Lack>>,
}

impl Uncounted {
    pub(crate) fn new(rpc: Rpc, journal: Journal, heads: Arc<Heads>, pace: Pace) -> Self {
        Self { rpc, journal, heads, pace, lacks: Mutex::default() }
    }

    /// Sends what is noted as mined, and an endpoint does not count, to all of them again. Bytes that were mined are
    /// refused, and cost nothing.
    pub(crate) async fn send_again(&self, counts: &[u64]) -> Result<(), SettlementError> {
        let now = self.journal.now_ms();
        self.lacks().retain(|nonce, _| counts.contains(nonce));
        for nonce in counts.iter().copied().collect::<BTreeSet<u64>>() {
            let was_sent = self.lacks().get(&nonce).map(|lack| lack.sent_at_ms);
            let pause = self.pace.resend_after.as_millis();
            if was_sent.is_some_and(|at| u128::from(now.saturating_sub(at)) < pause) {
                continue;
            }
            let Some(raw) = self.journal.mined_at(nonce).await? else { continue };
            let since_block = self.heads.number();
            self.lacks().entry(nonce).or_insert(Lack { since_block, sent_at_ms: now }).sent_at_ms = now;
            let answer = self.rpc.send_raw(&raw).await;
            tracing::info!(
                nonce,
                ?answer,
                "an endpoint does not count a transaction that was noted as mined, sending it again"
            );
        }
        Ok(())
    }

    /// The floor that counts leave standing: what one endpoint showed as mined, and all of two or more do not count for some
    /// blocks although its bytes were sent to them again, was never mined.
    pub(crate) fn highest_floor(&self, counts: &[u64]) -> u64 {
        let highest = counts.iter().max().copied().unwrap_or(0);
        let since = self.lacks().get(&highest).map(|lack| lack.since_block);
        let blocks = since.map_or(0, |since| self.heads.number().saturating_sub(since));
        if counts.len() >= 2 && blocks >= self.pace.bump_after_blocks { highest } else { u64::MAX }
    }

    fn lacks(&self) -> MutexGuard<'_, BTreeMap<u64, Lack>> {
        self.lacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
