//! Kubernetes' service links: variables that a cluster puts into each container for each service of its namespace.
//!
//! A service called `t4t-gateway` makes `T4T_GATEWAY_PORT=tcp://10.96.0.7:8080` and six more of its kind. Nobody set
//! them, so they are no settings, though some have a setting's name.

use std::net::IpAddr;

use url::Url;

/// Schemes of a link's addresses.
const SCHEMES: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether a variable is a service link. `value_of` tells the environment's other variables.
pub(super) fn is_service_link<'a>(
    name: &str,
    value: &str,
    value_of: impl Fn(&str) -> Option<&'a str>,
) -> bool {
    if let Some(part) = numbered_port(name) {
        return match part {
            "" => host_of(value).is_some(),
            "_PROTO" => SCHEMES.contains(&value),
            "_PORT" => is_port(value),
            "_ADDR" => host(value).is_some(),
            _ => false,
        };
    }
    if let Some(service) = strip_named(name, "_SERVICE_HOST") {
        // A service called `t4t` makes a variable with the name of our setting T4T_SERVICE_HOST. Beside it stands the
        // address of the same host; beside a setting it does not.
        let is_setting = super::keys::find(name).is_some();
        return host(value).is_some_and(|host| {
            !is_setting || value_of(&format!("{service}_PORT")).and_then(host_of) == Some(host)
        });
    }
    if strip_named(name, "_SERVICE_PORT").is_some() {
        return is_port(value);
    }
    if let Some((service, port_name)) = name.rsplit_once("_SERVICE_PORT_") {
        return !service.is_empty() && !port_name.is_empty() && is_port(value);
    }
    strip_named(name, "_PORT").is_some() && host_of(value).is_some()
}

/// What stands before `suffix`, if that is a name.
fn strip_named<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_suffix(suffix).filter(|service| !service.is_empty())
}

/// What follows `_PORT_<number>_<protocol>` in a name that has it.
fn numbered_port(name: &str) -> Option<&str> {
    let (service, rest) = name.split_once("_PORT_")?;
    let (number, rest) = rest.split_once('_')?;
    let protocol = ["TCP", "UDP", "SCTP"].into_iter().find_map(|protocol| rest.strip_prefix(protocol));
    protocol.filter(|_| !service.is_empty() && is_port(number))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// A service's address; one to listen at is none.
fn host(text: &str) -> Option<IpAddr> {
    let host: IpAddr = text.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    (!host.is_unspecified() && !host.is_loopback()).then_some(host)
}

/// The host of an address such as `tcp://10.96.0.7:8080`.
fn host_of(text: &str) -> Option<IpAddr> {
    let url = Url::parse(text).ok()?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.port().is_some();
    url.host_str().filter(|_| is_bare && SCHEMES.contains(&url.scheme())).and_then(host)
}
