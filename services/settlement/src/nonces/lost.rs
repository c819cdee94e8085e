//! Whether a nonce is lost to another transaction for good.

use std::collections::HashSet;
use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Rpc};
use t4t_store::transactions::StoredTransaction;
use t4t_types::Address;

use crate::config::Pace;
use crate::head::Heads;
use crate::intent::{ContractIntent, Intent};

/// How often a payment is signed for another nonce. Another program that uses the wallet takes one now and then.
const MOST_NEW_NONCES: usize = 3;

/// Asks whether a nonce is lost to another transaction for good.
#[derive(Debug)]
pub(crate) struct LostNonces {
    rpc: Rpc,
    wallet: Address,
    heads: Arc<Heads>,
    pace: Pace,
}

impl LostNonces {
    pub(crate) const fn new(rpc: Rpc, wallet: Address, heads: Arc<Heads>, pace: Pace) -> Self {
        Self { rpc, wallet, heads, pace }
    }

    /// Whether no version can be mined any more, or it does no harm if one is.
    ///
    /// A payment that is signed anew is paid twice if one endpoint made up that its nonce is gone: it takes all that
    /// answer. And where there is but one, it can do so a few times.
    pub(crate) async fn is_lost(&self, row: &StoredTransaction) -> Result<bool, SettlementError> {
        if Intent::of(row)?.is_harmless_twice() {
            return Ok(true);
        }
        let nonces: HashSet<u64> = row.versions.iter().map(|version| version.nonce).collect();
        if nonces.len() > MOST_NEW_NONCES {
            tracing::error!(
                key = row.key,
                nonce = row.nonce,
                "the chain's node says again and again that another transaction used the nonce: name a second node in \
                 GNOSIS_RPC_URL"
            );
            return Ok(false);
        }
        Ok(self.is_used_by_another(row).await && self.is_unknown(row).await)
    }

    /// Whether all endpoints that answer count the nonce as used: deep in the chain, where a version of ours may lie
    /// somewhere.
    async fn is_used_by_another(&self, row: &StoredTransaction) -> bool {
        let waits_nowhere = row.versions.iter().all(|version| version.refused);
        let deep = self.heads.number().saturating_sub(self.pace.confirmations);
        let at = if waits_nowhere { BlockTag::Latest } else { BlockTag::Number(deep) };
        let counts = self.rpc.transaction_counts(self.wallet, at).await;
        self.rpc.are_witnesses(counts.len()) && counts.iter().all(|count| *count > row.nonce)
    }

    /// Whether no endpoint that answers knows any version.
    async fn is_unknown(&self, row: &StoredTransaction) -> bool {
        for version in &row.versions {
            let known = self.rpc.transaction_known_by(version.hash).await;
            if !self.rpc.are_witnesses(known.len()) || known.contains(&true) {
                return false;
            }
        }
        true
    }
}
