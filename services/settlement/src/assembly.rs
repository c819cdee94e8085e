//! Putting settlement together from what it works with.

use std::sync::Arc;

use t4t_clock::SharedClock;

use crate::account::Accounts;
use crate::config::{SettlementConfig, SettlementDeps};
use crate::foundation::{Foundation, Shared};
use crate::nonces::Nonces;
use crate::service::SettlementService;
use crate::startup::Startup;
use crate::stop::Stop;
use crate::watching::Watch;
use crate::{submission, watching};

/// Settlement before it was started.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) service: SettlementService,
    pub(crate) startup: Startup,
    pub(crate) watch: Arc<Watch>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) clock: SharedClock,
}

/// Puts settlement together. Nothing is asked yet.
pub(crate) fn assemble(config: SettlementConfig, deps: SettlementDeps) -> Assembled {
    let base = Foundation::new(config, deps);
    let shared = Shared::new(&base);
    let nonces = Nonces::new(&base);
    let (watch, recovery) = watching::assemble(&base, &shared, &nonces);
    let stop = Arc::new(Stop::new(Arc::clone(&shared.in_flight)));
    let submission = submission::assemble(&base, &shared, &nonces, &watch, Arc::clone(&stop));
    let Foundation { config, rpc, clock, wallet, journal, newest } = base;
    let contracts = config.contracts;
    let accounts = Accounts {
        wallet: Arc::clone(&wallet),
        books: shared.books,
        journal: journal.clone(),
        newest: Arc::clone(&newest),
        contracts,
    };
    let service = SettlementService {
        submission: Arc::new(submission),
        outcomes: shared.outcomes,
        wallet: Arc::clone(&wallet),
        accounts: Arc::new(accounts),
        clock: clock.clone(),
    };
    let startup = Startup { rpc, wallet, journal, contracts, newest, recovery };
    Assembled { service, startup, watch, stop, clock }
}
