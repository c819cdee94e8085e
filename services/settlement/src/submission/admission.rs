//! Whether new transactions are taken now.

use std::sync::Arc;

use t4t_api::TransportError;
use t4t_api::settlement::SettlementError;

use crate::config::SERVICE;
use crate::in_flight::InFlight;
use crate::stop::Stop;

/// Seconds after which an overloaded settlement is asked again.
const RETRY_AFTER_S: u64 = 5;

/// Takes new transactions while settlement runs and is not overloaded.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) stop: Arc<Stop>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) max_pending: usize,
}

impl Admission {
    /// Refuses while stopping or overloaded.
    pub(super) fn admit(&self) -> Result<(), SettlementError> {
        let service = SERVICE.to_owned();
        if self.stop.is_stopped() {
            return Err(TransportError::Unreachable { service, reason: "it has stopped".into() }.into());
        }
        if self.in_flight.count() >= self.max_pending {
            return Err(TransportError::Busy { service, retry_after_s: RETRY_AFTER_S }.into());
        }
        Ok(())
    }
}
