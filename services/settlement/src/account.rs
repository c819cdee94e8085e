//! What the wallet is and holds, for whoever asks.

use std::sync::Arc;

use t4t_api::settlement::{Account, SettlementError};
use t4t_chain::ContractAddresses;

use crate::books::Books;
use crate::error;
use crate::head::HeadReader;
use crate::journal::Journal;
use crate::wallet::Wallet;

/// Tells what the wallet is and holds.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) books: Arc<Books>,
    pub(crate) journal: Journal,
    pub(crate) newest: Arc<HeadReader>,
    pub(crate) contracts: ContractAddresses,
}

impl Accounts {
    pub(crate) async fn account(&self) -> Result<Account, SettlementError> {
        // One endpoint that calls the wallet empty would stop the work.
        let held = self.books.balances().read().await.map_err(|cause| error::chain(&cause))?;
        let pending = self.journal.pending_count().await?;
        let scope = self.wallet.scope();
        Ok(Account {
            address: scope.wallet,
            chain_id: scope.chain_id,
            registry: self.contracts.registry,
            escrow: self.contracts.escrow,
            token: self.contracts.token,
            xdai_wei: held.wei,
            max_fee_wei: self.newest.heads().fees().max_fee,
            xbzz: held.xbzz,
            pending: u32::try_from(pending).unwrap_or(u32::MAX),
        })
    }
}
