//! What the operator set, as the edge takes it.

use t4t_runtime::config::GatewaySettings;

use crate::config::{AllowedOrigins, OpenAiConfig};

/// Means that every web page may use the gateway.
const EVERYONE: &str = "*";

impl From<&GatewaySettings> for OpenAiConfig {
    fn from(gateway: &GatewaySettings) -> Self {
        Self {
            bind: gateway.bind,
            api_key: gateway.api_key.clone(),
            allowed_origins: origins(&gateway.allowed_origins),
            allowed_hosts: gateway.allowed_hosts.clone(),
            allowed_models: gateway.allowed_models.clone(),
            min_providers: gateway.min_providers,
            streaming: gateway.fake_streaming,
            // The setting's words are exactly those that are read here.
            progress: gateway.progress.parse().unwrap_or_default(),
            max_in_flight: gateway.max_concurrent_requests,
            // Apps keep connections open beside those that wait for an answer.
            max_connections: gateway.max_concurrent_requests.saturating_mul(4).max(1024),
            max_body_bytes: gateway.max_request_bytes,
            // One of the largest always fits.
            max_held_bytes: gateway.max_requests_bytes.max(gateway.max_request_bytes.saturating_mul(2)),
            join_window: gateway.join_retries.then_some(gateway.deadline),
            models_ttl: gateway.models_cache,
            ..Self::default()
        }
    }
}

fn origins(listed: &[String]) -> AllowedOrigins {
    if listed.is_empty() {
        AllowedOrigins::Local
    } else if listed.iter().any(|origin| origin == EVERYONE) {
        AllowedOrigins::Any
    } else {
        AllowedOrigins::Listed(listed.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_opens_the_gateway_to_all_pages_and_nothing_else_does() {
        assert_eq!(origins(&[]), AllowedOrigins::Local);
        assert_eq!(origins(&["https://a".into(), "*".into()]), AllowedOrigins::Any);
        assert_eq!(origins(&["https://a".into()]), AllowedOrigins::Listed(vec!["https://a".into()]));
    }
}
