//! What is on this machine or in a private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Ends of names that the public directory never answers: reserved for one machine, one network or one cluster.
const PRIVATE_ENDS: [&str; 7] =
    [".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa", ".localdomain"];

/// Whether the address is on this machine or in a private network, as far as it says so itself.
pub fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_private_name(name),
        Some(Host::Ipv4(address)) => is_near_v4(address),
        Some(Host::Ipv6(address)) => is_near_v6(address),
        None => true,
    }
}

/// Whether no stranger can own the name: it has one part, as containers' and services' have, or an end that is
/// reserved for private networks.
pub fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.is_empty() && (!name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end)))
}

fn is_near_v4(address: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is what carriers, clusters and private overlays number their machines with.
    let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 0x40;
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || is_shared
}

fn is_near_v6(address: Ipv6Addr) -> bool {
    if let IpAddr::V4(inside) = address.to_canonical() {
        return is_near_v4(inside);
    }
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_stranger_can_own_are_not_private() {
        for name in
            ["bee", "localhost", "a.localhost", "nas.local", "x.svc.cluster.local.", "Host.Docker.Internal"]
        {
            assert!(is_private_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "mylocal.com",
            "xlocal.io",
        ] {
            assert!(!is_private_name(name), "{name}");
        }
    }
}
