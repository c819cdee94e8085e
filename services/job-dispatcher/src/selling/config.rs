//! What the operator of a provider decides.

use std::time::Duration;

use t4t_types::{TokenPrices, Xbzz};

/// The selling side's settings.
#[derive(Clone, Debug)]
pub struct SellingConfig {
    /// `T4T_INPUT_PRICE_DEFAULT`, `T4T_OUTPUT_PRICE_DEFAULT`: prices of models that `endpoints.json` names none for.
    pub default_prices: TokenPrices,
    /// `T4T_MAX_CONCURRENT_JOBS` where it is set: the most jobs at a time, even if the runners have more slots. Where it
    /// is not, there are as many as the runners have slots. That number is published on the chain.
    pub max_concurrent_jobs: Option<u32>,
    /// `T4T_HEARTBEAT_INTERVAL_SECONDS`.
    pub heartbeat_seconds: u64,
    /// How often the shop window is looked after: models, prices, heartbeat.
    pub storefront_interval: Duration,
    /// What is staked at registration.
    pub stake: Xbzz,
    /// Payments below this are refused, unless a short answer to a short prompt costs no more here: the gas of a claim
    /// costs more.
    pub min_payment: Xbzz,
    /// Jobs that leave less time than this, in chain seconds, are refused.
    pub min_delivery_seconds: u64,
    /// Jobs with deadlines farther off than this, in chain seconds, are refused: they would bind the stake.
    pub max_delivery_seconds: u64,
    /// How long after it was posted, in chain seconds, a job may wait for a free slot or its request: nearly all of the
    /// acknowledgement's window of 30 s. Then it is refused, and the refusal has a block's time left.
    pub start_within_seconds: u64,
    /// How long before the delivery deadline, in chain seconds, work that is not done is given up and refused (a third
    /// of the whole time if that is shorter): a claim mined late loses the payment and three times as much stake, and
    /// a transaction whose fee must be raised takes several blocks.
    pub give_up_seconds: u64,
    /// How long before the acknowledgement is due, in chain seconds, a job that is not acknowledged is refused instead.
    pub ack_margin_seconds: u64,
    /// How long a registered runner is known without saying so again.
    pub runner_lease: Duration,
    /// How often open jobs are looked at.
    pub sweep_interval: Duration,
    /// For how long the answers of settled jobs are kept, sealed.
    pub keep_answers: Duration,
}

impl Default for SellingConfig {
    fn default() -> Self {
        Self {
            default_prices: TokenPrices {
                input: Xbzz::from_plur(3_000_000_000_000_000),
                output: Xbzz::from_plur(15_000_000_000_000_000),
            },
            max_concurrent_jobs: None,
            heartbeat_seconds: 300,
            storefront_interval: Duration::from_secs(10),
            stake: Xbzz::from_whole(100),
            min_payment: Xbzz::from_plur(1_000_000_000_000),
            min_delivery_seconds: 40,
            max_delivery_seconds: 3600,
            start_within_seconds: 22,
            give_up_seconds: 60,
            ack_margin_seconds: 7,
            runner_lease: Duration::from_secs(15),
            sweep_interval: Duration::from_secs(2),
            keep_answers: Duration::from_secs(24 * 3600),
        }
    }
}
