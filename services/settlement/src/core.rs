//! What all parts of settlement share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use t4t_api::TransportError;
use t4t_api::settlement::{SettlementError, TransactionKey, TransactionOutcome, TransactionStatus};
use t4t_chain::Rpc;
use t4t_clock::SharedClock;
use t4t_crypto::WalletKey;
use t4t_store::Store;
use t4t_store::transactions::{StoredTransaction, TransactionScope, TransactionState};
use tokio::sync::{Mutex, Notify, watch};

use crate::caution::Caution;
use crate::config::{SettlementConfig, SettlementDeps};
use crate::counting::Lack;
use crate::heads::Heads;
use crate::keylocks::KeyLocks;
use crate::lane::Lane;
use crate::pacing::Pacing;
use crate::purse::Purse;

/// The service's name, for errors.
pub(crate) const SERVICE: &str = "settlement";

/// What all parts of settlement share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: SettlementConfig,
    pub(crate) rpc: Rpc,
    pub(crate) store: Store,
    pub(crate) wallet: WalletKey,
    pub(crate) clock: SharedClock,
    pub(crate) scope: TransactionScope,
    /// The wallet's sequence: whoever holds it gives out nonces.
    pub(crate) lane: Mutex<Lane>,
    pub(crate) heads: Heads,
    pub(crate) purse: Arc<Purse>,
    pub(crate) pacing: Pacing,
    pub(crate) keys: KeyLocks,
    /// One reading of the wallet at a time.
    pub(crate) reading: Mutex<()>,
    /// One approval at a time.
    pub(crate) approving: Mutex<()>,
    /// One look at the open transactions at a time: only its holder changes what was sent before.
    pub(crate) looking: Mutex<()>,
    /// Whether all included transactions are to be compared with the chain, because the last comparison was not
    /// finished.
    pub(crate) compare_all: AtomicBool,
    /// What endpoints do not count, although it is noted as mined.
    pub(crate) lacked: std::sync::Mutex<BTreeMap<u64, Lack>>,
    /// What payments that failed on the chain say about endpoints.
    pub(crate) caution: Caution,
    /// When the wallet was last read with all receipts looked at before, in milliseconds since 1970.
    pub(crate) settled_read_at_ms: AtomicU64,
    /// Counts changes of outcomes.
    pub(crate) changed: watch::Sender<u64>,
    /// Wakes the watch.
    pub(crate) wake: Notify,
    stopped: AtomicBool,
}

impl Core {
    pub(crate) fn new(config: SettlementConfig, deps: SettlementDeps) -> Self {
        let SettlementDeps { rpc, store, wallet, clock } = deps;
        Self {
            scope: TransactionScope { chain_id: config.chain_id, wallet: wallet.address() },
            heads: Heads::new(config.tip_wei, config.max_fee_wei),
            config,
            rpc,
            store,
            wallet,
            clock,
            lane: Mutex::new(Lane::default()),
            purse: Arc::default(),
            pacing: Pacing::default(),
            keys: KeyLocks::default(),
            reading: Mutex::new(()),
            approving: Mutex::new(()),
            looking: Mutex::new(()),
            compare_all: AtomicBool::new(false),
            lacked: std::sync::Mutex::default(),
            caution: Caution::default(),
            settled_read_at_ms: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            wake: Notify::new(),
            stopped: AtomicBool::new(false),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.unix_millis()
    }

    /// Signs nothing new from now on.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Refuses while stopping or overloaded.
    pub(crate) fn admit(&self) -> Result<(), SettlementError> {
        let service = SERVICE.to_owned();
        if self.is_stopped() {
            return Err(TransportError::Unreachable { service, reason: "it has stopped".into() }.into());
        }
        if self.pacing.count() >= self.config.max_pending {
            return Err(TransportError::Busy { service, retry_after_s: 5 }.into());
        }
        Ok(())
    }

    /// Tells whoever waits that an outcome changed.
    pub(crate) fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A stored transaction as callers see it.
pub(crate) fn status(row: &StoredTransaction) -> TransactionStatus {
    let outcome = match &row.state {
        TransactionState::Pending => TransactionOutcome::Pending,
        TransactionState::Included { inclusion, .. } => match &inclusion.revert {
            Some(reason) => TransactionOutcome::Reverted { block: inclusion.block, reason: reason.clone() },
            None => TransactionOutcome::Mined {
                block: inclusion.block,
                gas_used: inclusion.gas_used,
                fee_wei: inclusion.fee_wei,
                job: inclusion.job,
                amount: inclusion.amount,
            },
        },
    };
    TransactionStatus { key: TransactionKey::new(row.key.clone()), nonce: row.nonce, hash: row.hash, outcome }
}
