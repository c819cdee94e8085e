//! Who may come in, and which way requests leave.

use t4t_runtime::Settings;
use t4t_runtime::config::{ChainSettings, ConfigError, GatewaySettings};

use super::{Finding, Role};

pub(super) fn examine(settings: &Settings, role: Role) -> Result<Vec<Finding>, ConfigError> {
    let mut findings = Vec::from_iter(proxy_finding(settings)?);
    if role == Role::Gateway {
        findings.push(door_finding(&GatewaySettings::from_settings(settings)?));
    }
    Ok(findings)
}

/// Names the variables that name a proxy: they are often set for a whole machine, and forgotten.
fn proxy_finding(settings: &Settings) -> Result<Option<Finding>, ConfigError> {
    let set = t4t_outbound::proxies_set();
    if set.is_empty() {
        return Ok(None);
    }
    let urls = ChainSettings::from_settings(settings)?.rpc_urls;
    let through: Vec<&str> =
        urls.iter().filter(|url| t4t_outbound::passes_proxy(url)).filter_map(|url| url.host_str()).collect();
    let what = match through.as_slice() {
        [] => "nothing of what is asked here goes through it".to_owned(),
        hosts => format!("{} may go through it; services, Bee and whatever is near do not", hosts.join(", ")),
    };
    Ok(Some(Finding::good("proxy", format!("{} is set: {what}", set.join(", ")))))
}

fn door_finding(gateway: &GatewaySettings) -> Finding {
    let who = match (&gateway.api_key, gateway.bind.ip().is_loopback()) {
        (Some(_), _) => "whoever sends the API key",
        (None, true) => "programs of this machine, of all its users",
        (None, false) => "anyone who reaches it (T4T_GATEWAY_OPEN)",
    };
    Finding::good("gateway's door", format!("{} lets in {who}", gateway.bind))
}
