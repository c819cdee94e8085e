//! What the tests of this crate stand on.

use t4t_types::Address;

use crate::{Market, Store};

/// The market of most tests.
pub(crate) const MARKET: Market = Market { chain_id: 100, escrow: Address::new([0xe5; 20]) };

/// An empty database in a folder of its own.
pub(crate) async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
    (folder, store.for_market(MARKET).await.unwrap())
}
