//! How much is enough, and how much is asked for where it is not.

/// Enough gas for some hundred transactions: 0.05 xDAI, in wei.
pub(super) const LITTLE_GAS: u128 = 50_000_000_000_000_000;

/// What is asked for where there is less, so that it is not asked for again soon: 0.1 xDAI, in wei.
pub(super) const GAS_TO_SEND: u128 = 2 * LITTLE_GAS;
