//! What the operator set, as the two sides take it.

use t4t_protocol::EscrowSizing;
use t4t_runtime::config::{GatewaySettings, ProviderSettings, SelectionStrategy};

use crate::buying::{BuyingConfig, Strategy};
use crate::selling::SellingConfig;

impl From<&GatewaySettings> for BuyingConfig {
    fn from(gateway: &GatewaySettings) -> Self {
        Self {
            strategy: match gateway.strategy {
                SelectionStrategy::Cheapest => Strategy::Cheapest,
                SelectionStrategy::TopRepCheapest => Strategy::TopReputationCheapest,
                SelectionStrategy::Manual(provider) => Strategy::Manual(provider),
            },
            max_combined_price: gateway.price_cap,
            delivery_seconds: gateway.deadline.as_secs(),
            provider_wait: gateway.provider_wait,
            provider_poll: gateway.provider_wait_poll,
            sizing: EscrowSizing {
                default_max_output: gateway.default_max_output_tokens,
                headroom_ppm: gateway.headroom_ppm,
                max_escrow: gateway.max_escrow,
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
