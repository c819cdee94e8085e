//! Which web pages may use the gateway from a browser.

use url::{Host, Url};

use crate::config::AllowedOrigins;

/// Schemes of desktop apps, which no web page can take on.
const APP_SCHEMES: [&str; 4] = ["app", "tauri", "vscode-webview", "vscode-file"];

impl AllowedOrigins {
    /// Whether a page of this origin may use the gateway.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Local => is_local(origin),
            Self::Listed(listed) => listed.iter().any(|one| one == origin) || is_local(origin),
        }
    }
}

fn is_local(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    if APP_SCHEMES.contains(&url.scheme()) {
        return true;
    }
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_are_local_and_look_alikes_are_not() {
        for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8", "tauri://localhost"] {
            assert!(AllowedOrigins::Local.allows(origin), "{origin}");
        }
        let foreign =
            ["null", "", "http://localhost.evil.example", "http://127.0.0.1.nip.io", "http://10.0.0.1"];
        for origin in foreign {
            assert!(!AllowedOrigins::Local.allows(origin), "{origin}");
        }
    }

    #[test]
    fn a_listed_page_is_allowed_beside_the_local_ones() {
        let listed = AllowedOrigins::Listed(vec!["https://chat.example".into()]);
        assert!(listed.allows("https://chat.example"));
        assert!(listed.allows("http://localhost"));
        assert!(!listed.allows("https://chat.example.evil"));
    }
}
