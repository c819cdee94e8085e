//! Putting the parts together.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::closing::Closing;
use super::finality::Finality;
use super::gaps::Gaps;
use super::inclusions::Inclusions;
use super::receipts::Receipts;
use super::recovery::Recovery;
use super::refusals::Refusals;
use super::renewal::Renewal;
use super::reorgs::Reorgs;
use super::repair::Repair;
use super::resending::Resending;
use super::watch::Watch;
use crate::foundation::{Foundation, Shared};
use crate::nonces::{Nonces, lost_nonces};

/// The watch, and what takes up what the last run left open.
pub(crate) fn assemble(base: &Foundation, shared: &Shared, nonces: &Nonces) -> (Arc<Watch>, Recovery) {
    let inclusions = Arc::new(inclusions(base, shared));
    let reorgs = Arc::new(reorgs(base, shared, nonces, &inclusions));
    let watch = Arc::new(Watch {
        journal: base.journal.clone(),
        in_flight: Arc::clone(&shared.in_flight),
        newest: Arc::clone(&base.newest),
        inclusions: Arc::clone(&inclusions),
        reorgs: Arc::clone(&reorgs),
        repair: repair(base, shared, nonces, &inclusions),
        looking: Mutex::new(()),
    });
    let recovery = Recovery {
        watch: Arc::clone(&watch),
        journal: base.journal.clone(),
        inclusions,
        reorgs,
        sender: Arc::clone(&shared.sender),
    };
    (watch, recovery)
}

fn inclusions(base: &Foundation, shared: &Shared) -> Inclusions {
    Inclusions {
        receipts: Receipts::new(base.rpc.clone()),
        refusals: Refusals::new(base.rpc.clone(), base.wallet.address()),
        journal: base.journal.clone(),
        in_flight: Arc::clone(&shared.in_flight),
        books: Arc::clone(&shared.books),
        outcomes: Arc::clone(&shared.outcomes),
        contracts: base.config.contracts,
    }
}

fn reorgs(base: &Foundation, shared: &Shared, nonces: &Nonces, inclusions: &Arc<Inclusions>) -> Reorgs {
    let finality = Finality {
        rpc: base.rpc.clone(),
        wallet: base.wallet.address(),
        journal: base.journal.clone(),
        heads: base.heads(),
        receipts: Receipts::new(base.rpc.clone()),
        uncounted: Arc::clone(&nonces.uncounted),
        pace: base.config.pace,
    };
    Reorgs {
        rpc: base.rpc.clone(),
        heads: base.heads(),
        finality,
        inclusions: Arc::clone(inclusions),
        sender: Arc::clone(&shared.sender),
    }
}

fn repair(base: &Foundation, shared: &Shared, nonces: &Nonces, inclusions: &Arc<Inclusions>) -> Repair {
    let closing = Arc::new(closing(base, shared, nonces));
    let resending = Resending {
        newest: Arc::clone(&base.newest),
        wallet: Arc::clone(&base.wallet),
        journal: base.journal.clone(),
        sender: Arc::clone(&shared.sender),
    };
    let gaps = Gaps {
        wallet: base.wallet.address(),
        heads: base.heads(),
        journal: base.journal.clone(),
        lane: Arc::clone(&nonces.lane),
        sender: Arc::clone(&shared.sender),
        closing: Arc::clone(&closing),
    };
    let renewal = Renewal {
        in_flight: Arc::clone(&shared.in_flight),
        inclusions: Arc::clone(inclusions),
        lost: lost_nonces(base),
        lane: Arc::clone(&nonces.lane),
        sender: Arc::clone(&shared.sender),
        closing,
    };
    Repair {
        in_flight: Arc::clone(&shared.in_flight),
        counts: Arc::clone(&nonces.counts),
        resending,
        gaps,
        renewal,
        clock: base.clock.clone(),
        pace: base.config.pace,
    }
}

fn closing(base: &Foundation, shared: &Shared, nonces: &Nonces) -> Closing {
    Closing {
        journal: base.journal.clone(),
        heads: base.heads(),
        in_flight: Arc::clone(&shared.in_flight),
        books: Arc::clone(&shared.books),
        lane: Arc::clone(&nonces.lane),
        outcomes: Arc::clone(&shared.outcomes),
    }
}
