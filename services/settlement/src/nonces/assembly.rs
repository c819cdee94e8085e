//! Putting the parts together.

use std::sync::Arc;

use super::counts::NonceCounts;
use super::lane::Lane;
use super::lost::LostNonces;
use super::uncounted::Uncounted;
use crate::foundation::Foundation;

/// The wallet's nonces, for whoever gives them out or asks about them.
#[derive(Debug)]
pub(crate) struct Nonces {
    pub(crate) lane: Arc<Lane>,
    pub(crate) counts: Arc<NonceCounts>,
    pub(crate) uncounted: Arc<Uncounted>,
}

impl Nonces {
    pub(crate) fn new(base: &Foundation) -> Self {
        let Foundation { config, rpc, wallet, journal, .. } = base;
        let uncounted = Uncounted::new(rpc.clone(), journal.clone(), base.heads(), config.pace);
        let uncounted = Arc::new(uncounted);
        let counts = NonceCounts::new(rpc.clone(), wallet.address(), journal.clone(), Arc::clone(&uncounted));
        let counts = Arc::new(counts);
        let lane = Lane::new(Arc::clone(wallet), journal.clone(), base.heads(), Arc::clone(&counts));
        Self { lane: Arc::new(lane), counts, uncounted }
    }
}

/// Asks whether nonces are lost for good.
pub(crate) fn lost_nonces(base: &Foundation) -> LostNonces {
    LostNonces::new(base.rpc.clone(), base.wallet.address(), base.heads(), base.config.pace)
}
