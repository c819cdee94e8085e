//! What the operator set, as the two sides take it.

use t4t_protocol::EscrowSizing;
use t4t_runtime::config::{GatewaySettings, ProviderSettings, SelectionStrategy};

use crate::buying::{Bounds, BuyingConfig, DayLimits, Strategy};
use crate::selling::SellingConfig;

impl From<&GatewaySettings> for BuyingConfig {
    fn from(gateway: &GatewaySettings) -> Self {
        Self {
            strategy: match gateway.strategy {
                SelectionStrategy::Cheapest => Strategy::Cheapest,
                SelectionStrategy::TopRepCheapest => Strategy::TopReputationCheapest,
                SelectionStrategy::Manual(provider) => Strategy::Manual(provider),
            },
            bounds: Bounds {
                price_ceiling: gateway.price_cap,
                escrow_ceiling: gateway.max_escrow,
                multiple_ppm: gateway.price_multiple_ppm,
            },
            day: DayLimits { spend: gateway.max_spend_per_day, explore: gateway.explore_budget },
            delivery_seconds: gateway.deadline.as_secs(),
            provider_wait: gateway.provider_wait,
            provider_poll: gateway.provider_wait_poll,
            sizing: EscrowSizing {
                default_max_output: gateway.default_max_output_tokens,
                headroom_ppm: gateway.headroom_ppm,
            },
            ..Self::default()
        }
    }
}

impl From<&ProviderSettings> for SellingConfig {
    fn from(provider: &ProviderSettings) -> Self {
        Self {
            default_prices: provider.default_prices,
            max_concurrent_jobs: provider.job_cap,
            heartbeat_seconds: provider.heartbeat.as_secs(),
            ..Self::default()
        }
    }
}
