//! Putting the parts together.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Mutex;

use super::admission::Admission;
use super::approvals::{ApprovalConfig, Approvals};
use super::dispatch::Dispatch;
use super::estimates::Estimates;
use super::holding::Holding;
use super::intake::Submission;
use super::key_locks::KeyLocks;
use crate::foundation::{Foundation, Shared};
use crate::nonces::Nonces;
use crate::stop::Stop;
use crate::watching::Watch;

/// What takes transactions until `stop`.
pub(crate) fn assemble(
    base: &Foundation,
    shared: &Shared,
    nonces: &Nonces,
    watch: &Arc<Watch>,
    stop: Arc<Stop>,
) -> Submission {
    let holding = Arc::new(Holding {
        wallet: base.wallet.address(),
        books: Arc::clone(&shared.books),
        watch: Arc::clone(watch),
        in_flight: Arc::clone(&shared.in_flight),
        clock: base.clock.clone(),
        settled_read_at_ms: AtomicU64::new(0),
    });
    let dispatch = Arc::new(dispatch(base, shared, nonces, &holding));
    let (in_flight, max_pending) = (Arc::clone(&shared.in_flight), base.config.max_pending);
    Submission {
        keys: KeyLocks::default(),
        admission: Admission { stop, in_flight, max_pending },
        outcomes: Arc::clone(&shared.outcomes),
        approvals: approvals(base, shared, Arc::clone(&dispatch), holding),
        dispatch,
        clock: base.clock.clone(),
        contracts: base.config.contracts,
    }
}

fn dispatch(base: &Foundation, shared: &Shared, nonces: &Nonces, holding: &Arc<Holding>) -> Dispatch {
    let estimates = Estimates {
        rpc: base.rpc.clone(),
        wallet: base.wallet.address(),
        books: Arc::clone(&shared.books),
        holding: Arc::clone(holding),
    };
    Dispatch {
        newest: Arc::clone(&base.newest),
        estimates,
        holding: Arc::clone(holding),
        lane: Arc::clone(&nonces.lane),
        sender: Arc::clone(&shared.sender),
    }
}

fn approvals(
    base: &Foundation,
    shared: &Shared,
    dispatch: Arc<Dispatch>,
    holding: Arc<Holding>,
) -> Approvals {
    let (contracts, target) = (base.config.contracts, base.config.allowance_target);
    Approvals {
        dispatch,
        holding,
        books: Arc::clone(&shared.books),
        outcomes: Arc::clone(&shared.outcomes),
        clock: base.clock.clone(),
        config: ApprovalConfig { contracts, target },
        approving: Mutex::new(()),
    }
}
