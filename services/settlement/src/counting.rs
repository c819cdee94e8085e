//! How many nonces are used up: what endpoints say of it, and how far that is believed.
//!
//! A wallet whose transactions are signed at a nonce that is never reached does nothing any more, and one that fills the
//! way up to it pays for each step. So no single endpoint's word moves the sequence: of several counts the second highest
//! is taken, and a lone one is believed only a few steps beyond what is stored here.

use std::collections::{BTreeMap, BTreeSet};

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Fees};
use t4t_store::transactions::{StoredTransaction, TransactionState};

use crate::core::Core;
use crate::{error, gap};

/// Nonces beyond our own that are left to another program which uses the wallet, on one endpoint's word; and places that
/// are filled for a payment behind them.
pub(crate) const FEW: u64 = 4;

/// The wallet's sequence: the next nonce, those above it that are taken, and what was once signed for others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    /// The lowest nonce that nothing holds.
    pub(crate) next: u64,
    held: BTreeSet<u64>,
    left_behind: BTreeMap<u64, Fees>,
}

impl Sequence {
    fn new(start: u64, held: BTreeSet<u64>) -> Self {
        let next = lowest_free(start, &held);
        Self { next, held, left_behind: BTreeMap::new() }
    }

    /// The sequence once the next nonce is given out.
    pub(crate) fn advanced(mut self) -> Self {
        self.next = lowest_free(self.next.saturating_add(1), &self.held);
        self
    }

    /// What the next transaction pays: more than anything that was once signed for its place and may still lie somewhere.
    pub(crate) fn fees(&self, usual: Fees) -> Fees {
        self.left_behind.get(&self.next).map_or(usual, |old| old.bumped().at_least(usual))
    }
}

fn lowest_free(from: u64, held: &BTreeSet<u64>) -> u64 {
    let mut next = from;
    for nonce in held.range(from..) {
        if *nonce > next {
            break;
        }
        next = nonce.saturating_add(1);
    }
    next
}

/// What several endpoints say of a count: the second highest, so that none is believed alone.
fn agreed(counts: &[u64]) -> Option<u64> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.get(1).or(sorted.first()).copied()
}

/// How many nonces are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// The count.
    pub(crate) count: u64,
    /// Whether as many endpoints say so as it takes to pay for it.
    pub(crate) is_witnessed: bool,
}

/// A nonce at which something is noted as mined, and which an endpoint does not count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lack {
    /// The newest block when that was first seen.
    since_block: u64,
    /// When its bytes were last sent, in milliseconds since 1970.
    sent_at_ms: u64,
}

impl Core {
    /// How many of the wallet's nonces the chain has used up.
    pub(crate) async fn used(&self) -> Result<Used, SettlementError> {
        let counts = self.rpc.transaction_counts(self.scope.wallet, BlockTag::Latest).await;
        let count = agreed(&counts).ok_or_else(no_count)?;
        let floor = self.own_floor().await?.unwrap_or(0);
        self.send_what_is_lacked(&counts).await?;
        let count = count.max(floor.min(self.highest_floor(&counts)));
        Ok(Used { count, is_witnessed: self.rpc.are_witnesses(counts.len()) })
    }

    /// The sequence as the chain and the database have it; it begins at `at_least`.
    pub(crate) async fn read_sequence(&self, at_least: u64) -> Result<Sequence, SettlementError> {
        let counts = self.rpc.transaction_counts(self.scope.wallet, BlockTag::Pending).await;
        let counted = agreed(&counts).ok_or_else(no_count)?;
        let open = self.store.transactions_open(self.scope).await.map_err(|cause| error::store(&cause))?;
        let held: BTreeSet<u64> = open.iter().flat_map(nonces).collect();
        self.send_what_is_lacked(&counts).await?;
        let floor = self.own_floor().await?.map(|floor| floor.min(self.highest_floor(&counts)));
        let own = Sequence::new(floor.unwrap_or(0), held.clone());
        let is_first = floor.is_none() && held.is_empty();
        let is_alone = counts.len() < 2;
        let start = match counted.max(floor.unwrap_or(0)) {
            // Nodes count what waits as well, so what is stored here in a row from there on is no jump.
            start if is_alone && !is_first && beyond(start, &own) => {
                tracing::warn!(
                    counted,
                    own = own.next,
                    "the only node that answers counts more transactions than this wallet has signed here: going on with \
                     our own count (name a second node in GNOSIS_RPC_URL)"
                );
                own.next
            }
            start => start,
        };
        let mut sequence = Sequence::new(start.max(at_least), held);
        let left = self.store.transactions_left_behind(self.scope, sequence.next).await;
        for (nonce, max_fee, max_priority) in left.map_err(|cause| error::store(&cause))? {
            let fees = Fees { max_fee, max_priority };
            let entry = sequence.left_behind.entry(nonce).or_insert(fees);
            *entry = entry.at_least(fees);
        }
        Ok(sequence)
    }

    /// The floor that counts leave standing: what one endpoint showed as mined, and all of two or more do not count for some
    /// blocks although its bytes were sent to them again, was never mined.
    fn highest_floor(&self, counts: &[u64]) -> u64 {
        let highest = counts.iter().max().copied().unwrap_or(0);
        let since = self.lacked().get(&highest).map(|lack| lack.since_block);
        let blocks = since.map_or(0, |since| self.heads.number().saturating_sub(since));
        if counts.len() >= 2 && blocks >= self.config.pace.bump_after_blocks { highest } else { u64::MAX }
    }

    /// Sends what is noted as mined, and an endpoint does not count, to all of them again: one endpoint may have made its
    /// receipt up, and everything behind it waits. Bytes that were mined are refused, and cost nothing.
    pub(crate) async fn send_what_is_lacked(&self, counts: &[u64]) -> Result<(), SettlementError> {
        let now = self.now_ms();
        self.lacked().retain(|nonce, _| counts.contains(nonce));
        for nonce in counts.iter().copied().collect::<BTreeSet<u64>>() {
            let was_sent = self.lacked().get(&nonce).map(|lack| lack.sent_at_ms);
            let pause = self.config.pace.resend_after.as_millis();
            if was_sent.is_some_and(|at| u128::from(now.saturating_sub(at)) < pause) {
                continue;
            }
            let raw = self.store.transaction_mined_at(self.scope, nonce).await;
            let Some(raw) = raw.map_err(|cause| error::store(&cause))? else { continue };
            let since_block = self.heads.number();
            self.lacked().entry(nonce).or_insert(Lack { since_block, sent_at_ms: now }).sent_at_ms = now;
            let answer = self.rpc.send_raw(&raw).await;
            tracing::info!(
                nonce,
                ?answer,
                "an endpoint does not count a transaction that was noted as mined, sending it again"
            );
        }
        Ok(())
    }

    fn lacked(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Lack>> {
        self.lacked.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One more than the highest nonce that a transaction of ours has used for good.
    async fn own_floor(&self) -> Result<Option<u64>, SettlementError> {
        let closed = [gap::FILLED_BY_ANOTHER, gap::NEVER_MINED];
        let highest = self.store.transactions_highest_mined(self.scope, closed).await;
        Ok(highest.map_err(|cause| error::store(&cause))?.map(|nonce| nonce.saturating_add(1)))
    }

    /// Places from `used` on that nothing open holds, below a nonce.
    pub(crate) fn holes(used: u64, below: u64, open: &[StoredTransaction]) -> u64 {
        let held: BTreeSet<u64> =
            open.iter().flat_map(nonces).filter(|nonce| (used..below).contains(nonce)).collect();
        below.saturating_sub(used).saturating_sub(held.len() as u64)
    }
}

/// Whether a count lies further beyond all that is stored here than another program explains.
fn beyond(counted: u64, own: &Sequence) -> bool {
    let top = own.held.last().map_or(own.next, |highest| highest.saturating_add(1).max(own.next));
    // What lies beyond a hole of ours is no witness: that is what a false count leaves behind.
    let reached = if own.next < top && top - own.next > own.held.len() as u64 + FEW { own.next } else { top };
    counted > reached.saturating_add(FEW)
}

/// The nonces that an open transaction holds.
fn nonces(row: &StoredTransaction) -> Vec<u64> {
    let mined = match &row.state {
        TransactionState::Included { inclusion, .. } => Some(inclusion.hash),
        TransactionState::Pending => None,
    };
    let of_mined =
        row.versions.iter().filter(|version| Some(version.hash) == mined).map(|version| version.nonce);
    std::iter::once(row.nonce).chain(of_mined).collect()
}

fn no_count() -> SettlementError {
    SettlementError::Chain { reason: "no node says how many transactions the wallet has sent".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_believed_alone_where_there_are_two() {
        assert_eq!(agreed(&[]), None);
        assert_eq!(agreed(&[1_000_000]), Some(1_000_000));
        assert_eq!(agreed(&[1_000_000, 7]), Some(7));
        assert_eq!(agreed(&[0, 7, 7]), Some(7));
        assert_eq!(agreed(&[0, 7, 1_000_000]), Some(7));
    }

    #[test]
    fn the_lowest_free_nonce_is_given_out_and_what_is_held_is_passed_over() {
        let mut sequence = Sequence::new(5, [5, 6, 8, 300].into());
        let mut given = Vec::new();
        for _ in 0..4 {
            given.push(sequence.next);
            sequence = sequence.advanced();
        }
        assert_eq!(given, [7, 9, 10, 11]);
        assert_eq!(Sequence::new(299, [300].into()).advanced().next, 301);
    }

    #[test]
    fn a_place_for_which_something_was_signed_before_costs_more() {
        let old = Fees { max_fee: 100, max_priority: 10 };
        let mut sequence = Sequence::new(5, BTreeSet::new());
        sequence.left_behind.insert(5, old);
        let fees = sequence.fees(Fees { max_fee: 50, max_priority: 10 });
        assert!(fees.max_fee > 100 && fees.max_priority > 10);
        assert_eq!(sequence.advanced().fees(old), old);
    }

    #[test]
    fn a_lone_count_is_believed_a_few_steps_beyond_what_is_stored() {
        let own = Sequence::new(5, [5, 6].into());
        assert!(!beyond(7 + FEW, &own));
        assert!(beyond(8 + FEW, &own));
        let poisoned = Sequence::new(5, [305, 306].into());
        assert!(beyond(307, &poisoned) && !beyond(5, &poisoned));
    }
}
