//! What everything above is built on, while it is put together. Nothing keeps these: each part takes what it needs.

use std::sync::Arc;

use t4t_chain::Rpc;
use t4t_clock::SharedClock;

use crate::books::{Balances, Books, Caution};
use crate::config::{SettlementConfig, SettlementDeps};
use crate::head::{HeadReader, Heads};
use crate::in_flight::InFlight;
use crate::journal::Journal;
use crate::outcomes::Outcomes;
use crate::sending::Sender;
use crate::wallet::Wallet;

/// The chain, the database and the wallet.
#[derive(Debug)]
pub(crate) struct Foundation {
    pub(crate) config: SettlementConfig,
    pub(crate) rpc: Rpc,
    pub(crate) clock: SharedClock,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) journal: Journal,
    pub(crate) newest: Arc<HeadReader>,
}

/// What submitting and watching share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) books: Arc<Books>,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) sender: Arc<Sender>,
}

impl Foundation {
    pub(crate) fn new(config: SettlementConfig, deps: SettlementDeps) -> Self {
        let SettlementDeps { rpc, store, wallet, clock } = deps;
        let wallet = Arc::new(Wallet::new(wallet, config.chain_id));
        let journal = Journal::new(store, wallet.scope(), clock.clone());
        let heads = Arc::new(Heads::new(config.tip_wei, config.max_fee_wei));
        let newest = Arc::new(HeadReader::new(rpc.clone(), clock.clone(), heads, config.pace));
        Self { config, rpc, clock, wallet, journal, newest }
    }

    /// What is known of the newest block.
    pub(crate) fn heads(&self) -> Arc<Heads> {
        Arc::clone(self.newest.heads())
    }
}

impl Shared {
    pub(crate) fn new(base: &Foundation) -> Self {
        let Foundation { config, rpc, clock, wallet, journal, .. } = base;
        let caution = Arc::new(Caution::default());
        let balances = Balances::new(
            rpc.clone(),
            wallet.address(),
            config.contracts,
            Arc::clone(&caution),
            clock.clone(),
        );
        let books = Arc::new(Books::new(balances, caution, journal.clone(), config.contracts));
        let in_flight = Arc::new(InFlight::new(base.heads()));
        let sender = Sender::new(rpc.clone(), journal.clone(), Arc::clone(&in_flight), Arc::clone(&books));
        let outcomes = Arc::new(Outcomes::new(journal.clone(), clock.clone()));
        Self { in_flight, books, outcomes, sender: Arc::new(sender) }
    }
}
