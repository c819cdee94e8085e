//! By which names a server may be called.
//!
//! A page of the web can have its own name point at this machine, and is then, to the browser, the server itself: it
//! may ask and read whatever it likes (DNS rebinding). What gives it away is the name, which the browser sends as
//! `Host`. So a server answers to names only that no stranger can own, and to those that its operator lists.

use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use actix_web::middleware::Next;
use t4t_outbound::is_private_name;
use url::Host;

/// Names by which containers reach the machine that they run on; none is in the public directory.
const MACHINE_NAMES: [&str; 3] =
    ["host.docker.internal", "gateway.docker.internal", "host.containers.internal"];

/// How much of a name an error repeats.
const SHOWN_CHARACTERS: usize = 100;

/// The names that a server answers to.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    listed: Vec<String>,
    is_loopback: bool,
}

impl AllowedHosts {
    /// The names for a server that listens at this address, and the ones that its operator lists.
    ///
    /// On loopback these are `localhost`, names below it, addresses of loopback, names of one part, and those by which
    /// containers reach their machine. Beyond it, any address and any name of a private network is known as well: a
    /// server does not know under which of them it is published.
    pub fn new(bind: IpAddr, listed: &[String]) -> Self {
        let listed = listed.iter().map(|name| bare(name)).collect();
        Self { listed, is_loopback: bind.is_loopback() }
    }

    /// Whether a request with these headers calls the server by a name that it answers to. Browsers always send one;
    /// without any it is no page.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        headers.get_all(HOST).all(|host| host.to_str().is_ok_and(|host| self.allows(host)))
    }

    fn allows(&self, host: &str) -> bool {
        let name = bare(host);
        if self.listed.contains(&name) {
            return true;
        }
        match Host::parse(&name) {
            Ok(Host::Ipv4(address)) => !self.is_loopback || address.is_loopback(),
            Ok(Host::Ipv6(address)) => !self.is_loopback || address.to_canonical().is_loopback(),
            Ok(Host::Domain(name)) if self.is_loopback => {
                let is_local = name == "localhost" || name.ends_with(".localhost");
                is_local || !name.contains('.') || MACHINE_NAMES.contains(&name.as_str())
            }
            Ok(Host::Domain(name)) => is_private_name(&name),
            Err(_) => false,
        }
    }
}

/// What a request calls the server, as an error may repeat it.
pub fn called(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    host.unwrap_or_default().chars().take(SHOWN_CHARACTERS).collect()
}

/// Whether a page of another site sends this without saying which: by a form, an image or a link. Browsers let no page
/// forge or leave out `Sec-Fetch-Site`, and name the page where it may read the answer.
pub fn is_from_a_foreign_page(headers: &HeaderMap) -> bool {
    let is_cross_site = headers.get_all("sec-fetch-site").any(|site| site == "cross-site");
    is_cross_site && !headers.contains_key(ORIGIN)
}

/// A name without its port and in lower case.
fn bare(host: &str) -> String {
    let host = host.trim();
    // A colon after the last bracket begins the port; one inside brackets belongs to an address.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
            if name.contains(':') && !name.ends_with(']') {
                host
            } else {
                name
            }
        }
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Turns away whoever calls the server by a name that it does not answer to, and pages of other sites.
pub(super) async fn known_callers(
    allowed: AllowedHosts,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let refused = if !allowed.allow(request.headers()) {
        format!("nobody answers to {} here: call it by its address", called(request.headers()))
    } else if is_from_a_foreign_page(request.headers()) {
        "pages of other sites are not answered".to_owned()
    } else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let answer = HttpResponse::Forbidden().json(serde_json::json!({ "error": refused }));
    Ok(request.into_response(answer))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn hosts(bind: &str, listed: &[&str]) -> AllowedHosts {
        let listed: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
        AllowedHosts::new(bind.parse().unwrap(), &listed)
    }

    const OF_STRANGERS: [&str; 9] = [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.0.0.1.evil.example:8080",
        "evil.example.",
        "EVIL.example",
        "user@localhost",
        "local host",
    ];

    #[test]
    fn a_server_of_this_machine_answers_to_this_machines_names() {
        let hosts = hosts("127.0.0.1", &["Chat.Example"]);
        let own = [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:80",
            "a.localhost",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
        ];
        for host in own.into_iter().chain(["gateway", "host.docker.internal:8080", "chat.example:443"]) {
            assert!(hosts.allows(host), "{host}");
        }
        for host in OF_STRANGERS.into_iter().chain([
            "10.0.0.1",
            "[fd00::1]:80",
            "evil.local",
            "chat.example.evil.example",
            "",
        ]) {
            assert!(!hosts.allows(host), "{host}");
        }
    }

    #[test]
    fn a_published_server_answers_to_addresses_and_private_names() {
        let hosts = hosts("0.0.0.0", &["t4t.example"]);
        let own =
            ["10.0.0.1:3000", "203.0.113.7", "[2001:db8::1]:3000", "gateway:3000", "nas.local", "localhost"];
        for host in own.into_iter().chain(["gateway.t4t.svc.cluster.local:3000", "t4t.example"]) {
            assert!(hosts.allows(host), "{host}");
        }
        for host in OF_STRANGERS {
            assert!(!hosts.allows(host), "{host}");
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        pairs.iter().map(pair).for_each(|(name, value)| map.append(name, value));
        map
    }

    #[test]
    fn each_of_several_names_must_be_known_and_none_is_no_page() {
        let hosts = hosts("127.0.0.1", &[]);
        assert!(hosts.allow(&headers(&[])));
        assert!(hosts.allow(&headers(&[("host", "localhost")])));
        assert!(!hosts.allow(&headers(&[("host", "localhost"), ("host", "evil.example")])));
    }

    #[test]
    fn a_foreign_page_is_told_by_what_browsers_say() {
        assert!(is_from_a_foreign_page(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(!is_from_a_foreign_page(&headers(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://localhost")
        ])));
        for site in ["same-origin", "same-site", "none"] {
            assert!(!is_from_a_foreign_page(&headers(&[("sec-fetch-site", site)])), "{site}");
        }
        assert!(!is_from_a_foreign_page(&headers(&[])));
    }
}
