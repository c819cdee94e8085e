//! What the operator of a gateway decides.

use std::time::Duration;

use t4t_protocol::EscrowSizing;

use super::choice::{Bounds, Strategy};
use super::spend::DayLimits;

/// The buying side's settings.
#[derive(Clone, Debug)]
pub struct BuyingConfig {
    /// `T4T_SELECTION_STRATEGY`, `T4T_MANUAL_PROVIDER`.
    pub strategy: Strategy,
    /// What an offer and a request may cost.
    pub bounds: Bounds,
    /// What may be spent in a day.
    pub day: DayLimits,
    /// `T4T_DEFAULT_DEADLINE_SECONDS`: how long a provider has to claim.
    pub delivery_seconds: u64,
    /// `T4T_PROVIDER_WAIT_SECONDS`: how long to wait for a busy provider.
    pub provider_wait: Duration,
    /// `T4T_PROVIDER_WAIT_POLL_SECONDS`: how often to look meanwhile.
    pub provider_poll: Duration,
    /// `T4T_DEFAULT_MAX_OUTPUT_TOKENS`, `T4T_ESCROW_HEADROOM_RATIO`.
    pub sizing: EscrowSizing,
    /// How many providers are tried for one request.
    pub max_attempts: u32,
    /// Chain seconds after the acknowledgement window before a job is cancelled: the live network's gateways cancel after
    /// a minute, and its providers count on it, since their nodes take 5 to 29 s for a message before they acknowledge.
    pub ack_grace_seconds: u64,
    /// The same where no other provider could serve the request.
    pub lone_grace_seconds: u64,
    /// How long to wait before a notice is sent again.
    pub notice_resend: Duration,
    /// How often overdue jobs are looked for.
    pub sweep_interval: Duration,
    /// Requests worked on at a time.
    pub slots: usize,
}

impl Default for BuyingConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::TopReputationCheapest,
            bounds: Bounds::default(),
            day: DayLimits::default(),
            delivery_seconds: 900,
            provider_wait: Duration::from_secs(120),
            provider_poll: Duration::from_secs(5),
            sizing: EscrowSizing::default(),
            max_attempts: 3,
            ack_grace_seconds: 30,
            lone_grace_seconds: 60,
            notice_resend: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(5),
            slots: 1024,
        }
    }
}
