//! The connections to one backend: some are kept for the next request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::CONNECTION;
use reqwest::{Client, RequestBuilder, Response, Version};
use t4t_clock::SharedClock;
use url::Url;

/// How long an unused connection is kept; a backend that was restarted meanwhile would break it.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// The connections.
#[derive(Debug)]
pub(super) struct Connections {
    http: Client,
    /// The same without connections from before.
    fresh: Client,
    clock: SharedClock,
    /// When one was last left open for the next request, in milliseconds since 1970.
    kept_alive_ms: AtomicU64,
}

impl Connections {
    /// Connections toward this address, each waited for as long as `connect`.
    pub(super) fn new(url: &Url, connect: Duration, clock: SharedClock) -> Result<Self, reqwest::Error> {
        let client = |idle: usize| {
            t4t_outbound::toward(url)
                .connect_timeout(connect)
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(idle)
                .build()
        };
        Ok(Self { http: client(usize::MAX)?, fresh: client(0)?, clock, kept_alive_ms: AtomicU64::new(0) })
    }

    /// The client to make requests with.
    pub(super) fn client(&self) -> &Client {
        &self.http
    }

    /// Sends a request.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let response = request.send().await?;
        let closes = response
            .headers()
            .get(CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        if !closes && response.version() >= Version::HTTP_11 {
            self.kept_alive_ms.store(self.clock.unix_millis(), Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Sends a request, and once more over a fresh connection where the first may have been closed before it was used:
    /// that is not the backend's answer.
    pub(super) async fn send_anyhow(
        &self,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, reqwest::Error> {
        let kept_ms = self.clock.unix_millis().saturating_sub(self.kept_alive_ms.load(Ordering::Relaxed));
        let may_be_stale = Duration::from_millis(kept_ms) <= 2 * POOL_IDLE;
        match self.send(request(&self.http)).await {
            Err(error) if may_be_stale && !error.is_connect() && !error.is_timeout() => {
                self.kept_alive_ms.store(0, Ordering::Relaxed);
                tracing::debug!(error = ?error, "a kept connection to a backend was closed: asked again");
                self.send(request(&self.fresh)).await
            }
            sent => sent,
        }
    }
}
