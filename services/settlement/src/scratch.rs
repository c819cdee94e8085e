//! An empty journal for tests.

use t4t_chain::Fees;
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_store::transactions::{StoredCall, StoredTransaction, TransactionId};
use t4t_store::{Market, Store};
use t4t_types::Address;
use tempfile::TempDir;

use crate::journal::{Journal, NewEntry};
use crate::wallet::Wallet;

/// Whose transactions they are.
const MARKET: Market = Market { chain_id: 100, escrow: Address::new([9; 20]) };

/// An empty journal, for as long as its folder is kept.
pub(crate) struct Scratch {
    pub(crate) journal: Journal,
    wallet: Wallet,
    _folder: TempDir,
}

impl Scratch {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_for(&folder.path().join("settlement.db"), MARKET).await.unwrap();
        let wallet = Wallet::new(WalletKey::from_bytes(&[0x46; 32]).unwrap(), 100);
        let journal = Journal::new(store, wallet.scope(), SystemClock::shared());
        Self { journal, wallet, _folder: folder }
    }

    /// Stores a transaction that does nothing.
    pub(crate) async fn add(&self, key: &str, nonce: u64) -> TransactionId {
        let call = StoredCall { to: Address::ZERO, data: Vec::new(), value: 0, gas_limit: 21_000 };
        let version = self.wallet.sign(nonce, &call, Fees { max_fee: 2, max_priority: 1 });
        let entry = NewEntry { key, intent: r#"{"intent":"heartbeat"}"#, call: &call };
        self.journal.add(entry, &version).await.unwrap().unwrap()
    }

    /// All that are open.
    pub(crate) async fn open(&self) -> Vec<StoredTransaction> {
        self.journal.open().await.unwrap()
    }
}
