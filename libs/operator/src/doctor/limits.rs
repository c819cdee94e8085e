//! What a gateway may spend at most, and the setting that says so.

use t4t_runtime::Settings;
use t4t_runtime::config::{ConfigError, GatewaySettings};

use super::Finding;

/// A million, the unit of ratios.
const MILLION: f64 = 1e6;

#[expect(clippy::cast_precision_loss, reason = "a multiple between 1 and 1000, shown to people")]
pub(super) fn examine(settings: &Settings) -> Result<Vec<Finding>, ConfigError> {
    let gateway = GatewaySettings::from_settings(settings)?;
    let multiple = gateway.price_multiple_ppm as f64 / MILLION;
    let bound = |what, amount, setting| Finding::good(what, format!("{amount} ({setting})"));
    Ok(vec![
        bound(
            "price limit",
            format!("{} xBZZ per million tokens in and out", gateway.price_cap),
            "T4T_MAX_PRICE_PER_MILLION_TOKENS",
        ),
        bound(
            "price limit",
            format!("{multiple} times the median, from three offers on"),
            "T4T_MAX_PRICE_MULTIPLE",
        ),
        bound("request limit", format!("{} xBZZ", gateway.max_escrow), "T4T_MAX_ESCROW_PER_JOB"),
        bound("daily limit", format!("{} xBZZ", gateway.max_spend_per_day), "T4T_MAX_SPEND_PER_DAY"),
        bound(
            "exploration",
            format!("{} xBZZ a day for providers that are not known yet", gateway.explore_budget),
            "T4T_EXPLORE_BUDGET",
        ),
    ])
}
