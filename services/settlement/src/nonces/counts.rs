//! How many nonces are used up: what endpoints say of it, and how far that is believed.
//!
//! A wallet whose transactions are signed at a nonce that is never reached does nothing any more, and one that fills the
//! way up to it pays for each step. So no single endpoint's word moves the sequence: of several counts the second highest
//! is taken, and a lone one is believed only a few steps beyond what is stored here.

use std::collections::BTreeSet;
use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Rpc};
use t4t_types::Address;

use super::sequence::{Sequence, nonces};
use super::uncounted::Uncounted;
use crate::journal::Journal;

/// How many nonces are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// The count.
    pub(crate) count: u64,
    /// Whether as many endpoints say so as it takes to pay for it.
    pub(crate) is_witnessed: bool,
}

/// Reads how many nonces are used up.
#[derive(Debug)]
pub(crate) struct NonceCounts {
    rpc: Rpc,
    wallet: Address,
    journal: Journal,
    uncounted: Arc<Uncounted>,
}

impl NonceCounts {
    pub(crate) const fn new(rpc: Rpc, wallet: Address, journal: Journal, uncounted: Arc<Uncounted>) -> Self {
        Self { rpc, wallet, journal, uncounted }
    }

    /// How many of the wallet's nonces the chain has used up.
    pub(crate) async fn used(&self) -> Result<Used, SettlementError> {
        let counts = self.rpc.transaction_counts(self.wallet, BlockTag::Latest).await;
        let count = agreed(&counts).ok_or_else(no_count)?;
        let floor = self.own_floor().await?.unwrap_or(0);
        self.uncounted.send_again(&counts).await?;
        let count = count.max(floor.min(self.uncounted.highest_floor(&counts)));
        Ok(Used { count, is_witnessed: self.rpc.are_witnesses(counts.len()) })
    }

    /// The sequence as the chain and the database have it; it begins at `at_least`.
    pub(crate) async fn read_sequence(&self, at_least: u64) -> Result<Sequence, SettlementError> {
        let counts = self.rpc.transaction_counts(self.wallet, BlockTag::Pending).await;
        let counted = agreed(&counts).ok_or_else(no_count)?;
        let open = self.journal.open().await?;
        let held: BTreeSet<u64> = open.iter().flat_map(nonces).collect();
        self.uncounted.send_again(&counts).await?;
        let floor = self.own_floor().await?.map(|floor| floor.min(self.uncounted.highest_floor(&counts)));
        let own = Sequence::new(floor.unwrap_or(0), held.clone());
        let is_first = floor.is_none() && held.is_empty();
        let is_alone = counts.len() < 2;
        let start = match counted.max(floor.unwrap_or(0)) {
            // Nodes count what waits as well, so what is stored here in a row from there on is no jump.
            start if is_alone && !is_first && own.is_far_below(start) => {
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
        for (nonce, fees) in self.journal.left_behind(sequence.next).await? {
            sequence.note_left_behind(nonce, fees);
        }
        Ok(sequence)
    }

    /// One more than the highest nonce that a transaction of ours has used for good.
    async fn own_floor(&self) -> Result<Option<u64>, SettlementError> {
        Ok(self.journal.highest_mined().await?.map(|nonce| nonce.saturating_add(1)))
    }
}

/// What several endpoints say of a count: the second highest, so that none is believed alone.
fn agreed(counts: &[u64]) -> Option<u64> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.get(1).or(sorted.first()).copied()
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
}
