//! How the endpoints of the chain are used.

use std::time::Duration;

use url::Url;

/// Endpoints of one chain and the limits of talking to them.
#[derive(Clone)]
pub struct RpcConfig {
    /// JSON-RPC endpoints of the same chain, best first.
    pub endpoints: Vec<Url>,
    /// How long one HTTP request may take. A node that says nothing is asked again while there is still time for a
    /// transaction before an acknowledgement's deadline.
    pub request_timeout: Duration,
    /// How long one question may take, with all attempts and pauses.
    pub deadline: Duration,
    /// How often one question is sent at most.
    pub attempts: u32,
    /// Bytes of an HTTP body that are taken at most.
    pub max_response_bytes: usize,
    /// Questions that are put into one HTTP request at most.
    pub max_batch: usize,
    /// Pause after an endpoint's first failure; doubles with each further one.
    pub backoff: Duration,
    /// Longest pause after failures. A provider has 30 s to acknowledge a job before its stake burns, so one that can't
    /// read its chain for longer than that pays for it.
    pub max_backoff: Duration,
    /// Longest pause that an endpoint is given because it asks for one.
    pub max_asked: Duration,
}

impl RpcConfig {
    /// The endpoints with the default limits.
    pub fn new(endpoints: impl IntoIterator<Item = Url>) -> Self {
        Self {
            endpoints: endpoints.into_iter().collect(),
            request_timeout: Duration::from_secs(4),
            deadline: Duration::from_secs(30),
            attempts: 8,
            max_response_bytes: 16 * 1024 * 1024,
            max_batch: 100,
            backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(3),
            max_asked: Duration::from_secs(10),
        }
    }
}

/// An endpoint's URL often holds an API key, so only hosts are shown.
impl std::fmt::Debug for RpcConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<String> = self.endpoints.iter().map(shown).collect();
        f.debug_struct("RpcConfig")
            .field("endpoints", &hosts)
            .field("request_timeout", &self.request_timeout)
            .field("deadline", &self.deadline)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// An endpoint as logs and errors may name it: host and port, without path, query or credentials.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
