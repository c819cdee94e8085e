//! The addresses of a backend's routes.

use url::Url;

/// The address of a route below `/v1`, which the backend's address may hold already.
pub(super) fn route(url: &Url, route: &str) -> Option<Url> {
    let mut address = url.clone();
    let is_versioned = url.path().trim_end_matches('/').ends_with("/v1");
    let mut path = address.path_segments_mut().ok()?;
    path.pop_if_empty();
    if !is_versioned {
        path.push("v1");
    }
    path.extend(route.split('/'));
    drop(path);
    Some(address)
}

/// The address of a route beside `/v1`.
pub(super) fn beside_version(url: &Url, route: &str) -> Option<Url> {
    let mut address = url.clone();
    let is_versioned = url.path().trim_end_matches('/').ends_with("/v1");
    let mut path = address.path_segments_mut().ok()?;
    path.pop_if_empty();
    if is_versioned {
        path.pop();
    }
    path.extend(route.split('/'));
    drop(path);
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_added_to_the_address_once() {
        let cases = [
            ("http://a", "http://a/v1/models", "http://a/api/ps"),
            ("http://a/", "http://a/v1/models", "http://a/api/ps"),
            ("http://a:1/v1", "http://a:1/v1/models", "http://a:1/api/ps"),
            ("http://a/v1/", "http://a/v1/models", "http://a/api/ps"),
            ("http://a/api", "http://a/api/v1/models", "http://a/api/api/ps"),
            ("https://a/openai/v1/", "https://a/openai/v1/models", "https://a/openai/api/ps"),
        ];
        for (url, expected, beside) in cases {
            assert_eq!(route(&url.parse().unwrap(), "models").unwrap().as_str(), expected);
            assert_eq!(beside_version(&url.parse().unwrap(), "api/ps").unwrap().as_str(), beside);
        }
    }
}
