//! HTTP clients: which way a request leaves the machine, and that it is not sent elsewhere.
//!
//! Every client of the house begins here; a test searches for those that do not. Two rules hold for all of them:
//!
//! - **No redirect is followed.** Nobody that is asked has a reason to send the asker, with its token, key or prompt,
//!   to another address.
//! - **`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` count for `https` to the public internet alone** ([`passes_proxy`]).
//!   A proxy reads whatever goes through it unencrypted, and the variables are often set for a whole machine: between
//!   services, to a node, a backend or a chain endpoint on this machine or in its network, nothing stands.

mod near;

use std::ffi::OsString;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use url::Url;

pub use near::{is_near, is_private_name};

/// The variables that name a proxy, each in upper and lower case.
pub const PROXY_VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A client that asks directly, whatever proxy the system names: for services, nodes, and everything on this machine.
pub fn direct() -> ClientBuilder {
    bare().no_proxy()
}

/// A client for one address: direct, or through the system's proxy where [`passes_proxy`] allows that.
pub fn toward(url: &Url) -> ClientBuilder {
    if passes_proxy(url) { outside() } else { direct() }
}

/// A client that goes through the system's proxy, if it names one. Only for addresses that [`passes_proxy`] allows.
pub fn outside() -> ClientBuilder {
    bare()
}

/// Whether requests to this address may go through a proxy: `https`, so that the proxy sees the host's name and no
/// more, to a host that is neither on this machine nor in a private network.
pub fn passes_proxy(url: &Url) -> bool {
    url.scheme() == "https" && !is_near(url)
}

/// The variables that name a proxy in this process's environment.
pub fn proxies_set() -> Vec<&'static str> {
    named(|name| std::env::var_os(name))
}

fn named(variable: impl Fn(&str) -> Option<OsString>) -> Vec<&'static str> {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    PROXY_VARIABLES.into_iter().filter(is_set).collect()
}

fn bare() -> ClientBuilder {
    // An error here means that a provider is installed already, which serves as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(Policy::none()).tcp_nodelay(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn only_https_to_the_public_internet_passes_a_proxy() {
        for public in ["https://rpc.gnosischain.com", "https://api.example.org/v1", "https://8.8.8.8"] {
            assert!(passes_proxy(&url(public)), "{public}");
        }
        let direct = [
            "http://rpc.gnosischain.com",
            "https://localhost:8545",
            "https://127.0.0.1",
            "https://127.8.9.1",
            "https://10.0.0.7",
            "https://172.16.0.1",
            "https://172.31.255.255",
            "https://192.168.1.4",
            "https://169.254.1.1",
            "https://100.64.0.1",
            "https://[::1]",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[::ffff:10.0.0.1]",
            "https://bee:1633",
            "https://settlement.t4t.svc",
            "https://settlement.t4t.svc.cluster.local",
            "https://host.docker.internal",
        ];
        for near in direct {
            assert!(!passes_proxy(&url(near)), "{near}");
        }
    }

    #[test]
    fn the_variables_that_are_set_are_named() {
        let set = |wanted: &'static [(&str, &str)]| {
            named(|name| wanted.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(
            set(&[("https_proxy", "http://p:1"), ("ALL_PROXY", "socks5://p:2")]),
            ["https_proxy", "ALL_PROXY"]
        );
        assert!(set(&[("HTTP_PROXY", ""), ("NO_PROXY", "*")]).is_empty());
    }
}
