//! What the operator of a gateway decides.

use std::time::Duration;

use t4t_protocol::EscrowSizing;
use t4t_types::{Address, Xbzz};

/// How a provider is chosen among those that offer the model and are not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The lowest input and output price together; ties by registry order.
    Cheapest,
    /// The cheapest of those with a record (20 jobs or more, 95 % of them successful); with the exploration share a
    /// newcomer; without any seasoned provider the cheapest newcomer, and only then anyone.
    TopReputationCheapest,
    /// This provider and no other.
    Manual(Address),
}

/// The buying side's settings.
#[derive(Clone, Debug)]
pub struct BuyingConfig {
    /// `T4T_SELECTION_STRATEGY`, `T4T_MANUAL_PROVIDER`.
    pub strategy: Strategy,
    /// `T4T_MAX_PRICE_PER_MILLION_TOKENS`: input and output price together.
    pub max_combined_price: Option<Xbzz>,
    /// `T4T_DEFAULT_DEADLINE_SECONDS`: how long a provider has to claim.
    pub delivery_seconds: u64,
    /// `T4T_PROVIDER_WAIT_SECONDS`: how long to wait for a busy provider.
    pub provider_wait: Duration,
    /// `T4T_PROVIDER_WAIT_POLL_SECONDS`: how often to look meanwhile.
    pub provider_poll: Duration,
    /// `T4T_DEFAULT_MAX_OUTPUT_TOKENS`, `T4T_ESCROW_HEADROOM_RATIO`, `T4T_MAX_ESCROW_PER_JOB`.
    pub sizing: EscrowSizing,
    /// How many providers are tried for one request.
    pub max_attempts: u32,
    /// Chain seconds after the acknowledgement window before a job is cancelled, so that an acknowledgement that was
    /// mined late is not answered with a slash.
    pub ack_grace_seconds: u64,
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
            max_combined_price: None,
            delivery_seconds: 900,
            provider_wait: Duration::from_secs(120),
            provider_poll: Duration::from_secs(5),
            sizing: EscrowSizing::default(),
            max_attempts: 3,
            ack_grace_seconds: 10,
            notice_resend: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(5),
            slots: 1024,
        }
    }
}
