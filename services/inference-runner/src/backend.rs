//! One backend over HTTP: its list of models, its answers, and what its refusals mean.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response, StatusCode, Version};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use t4t_api::inference_runner::RunnerError;
use t4t_clock::SharedClock;
use t4t_inference::Refusal;
use url::Url;

use crate::chunk::refusal_of;
use crate::details::Known;
use crate::endpoints::Endpoint;
use crate::error::StartError;
use crate::listing::{Listing, listing_of};
use crate::mend::mended;

/// The longest list of models taken, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;
/// The longest refusal read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// How long an unused connection is kept; a backend that was restarted meanwhile would break it.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// When to try again what a backend can't take now, in seconds, where it does not say.
const RETRY_AFTER: u64 = 5;
/// The code of an error that says that a backend can't be reached.
pub(crate) const AWAY: &str = "backend_unreachable";

/// Why a backend did not answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It says why, in a way that an app may be told.
    Refused {
        /// What it says.
        refusal: Refusal,
        /// Its whole body, for whoever looks for a word in it.
        body: String,
    },
    /// It can't be reached: nobody is at fault, and it may be back in a moment.
    Away(String),
    /// It broke, or is set up wrongly.
    Broken(String),
}

impl From<Failure> for RunnerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { refusal, .. } => Self::Refused { refusal },
            Failure::Away(reason) => {
                let refusal = Refusal { code: Some(AWAY.into()), ..Refusal::try_again(reason, RETRY_AFTER) };
                Self::Refused { refusal }
            }
            Failure::Broken(reason) => Self::Backend { reason },
        }
    }
}

/// A client for one backend.
#[derive(Debug)]
pub(crate) struct Backend {
    endpoint: Endpoint,
    clock: SharedClock,
    http: reqwest::Client,
    /// The same without connections from before.
    fresh: reqwest::Client,
    models: Url,
    chat: Url,
    /// When a connection was last left open for the next request, in milliseconds since 1970.
    kept_alive_ms: AtomicU64,
    in_flight: AtomicU32,
    /// What is known of it beyond its list.
    pub(crate) known: Mutex<Known>,
}

/// A request that a backend works on.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a AtomicU32);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backend {
    /// A client that waits `connect` for a connection.
    pub(crate) fn new(endpoint: Endpoint, connect: Duration, clock: SharedClock) -> Result<Self, StartError> {
        let client = |idle: usize| {
            t4t_outbound::toward(&endpoint.url)
                .connect_timeout(connect)
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(idle)
                .build()
                .map_err(StartError::HttpClient)
        };
        let address = || StartError::Address { endpoint: endpoint.name.clone() };
        let models = route(&endpoint.url, "models").ok_or_else(address)?;
        let chat = route(&endpoint.url, "chat/completions").ok_or_else(address)?;
        Ok(Self {
            http: client(usize::MAX)?,
            fresh: client(0)?,
            endpoint,
            clock,
            models,
            chat,
            kept_alive_ms: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            known: Mutex::default(),
        })
    }

    /// How the operator named it and what he set for it.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The backend's name.
    pub(crate) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// Requests that it works on now.
    pub(crate) fn load(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it works on as many requests as its operator set.
    pub(crate) fn is_full(&self) -> bool {
        self.endpoint.slots.is_some_and(|slots| self.load() >= slots)
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// The models it lists. The caller limits the time.
    pub(crate) async fn list(&self) -> Result<Listing, Failure> {
        let list = self.read_json(self.http.get(self.models.clone())).await?;
        Ok(listing_of(&list))
    }

    /// Asks one of the backend's own routes, beside `/v1`, for JSON. The caller limits the time.
    pub(crate) async fn native(&self, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let not_there = || Failure::Broken(format!("endpoint {} has no {path}", self.name()));
        let address = beside_version(&self.endpoint.url, path).ok_or_else(not_there)?;
        let request = match body {
            Some(body) => {
                self.http.post(address).header(CONTENT_TYPE, "application/json").body(body.to_string())
            }
            None => self.http.get(address),
        };
        self.read_json(request).await
    }

    async fn read_json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.send(request).await?;
        let body = self.body(response, MAX_LIST_BYTES).await?;
        let text = String::from_utf8_lossy(&body);
        let text = text.trim_start_matches('\u{feff}');
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&mended(text))).map_err(|_| {
            Failure::Broken(format!("endpoint {} answers with no JSON where JSON is due", self.name()))
        })
    }

    /// Asks for an answer; returns once the backend has begun. The caller limits the time.
    ///
    /// A connection that was left open and turns out to be closed is not the backend's answer: before a byte of one
    /// came, the request is sent once more over a fresh one.
    pub(crate) async fn complete(&self, body: &[u8]) -> Result<Response, Failure> {
        let request = |client: &reqwest::Client| {
            let request = client.post(self.chat.clone()).header(CONTENT_TYPE, "application/json");
            request.header(ACCEPT, "text/event-stream, application/json").body(body.to_vec())
        };
        let since_kept_ms =
            self.clock.unix_millis().saturating_sub(self.kept_alive_ms.load(Ordering::Relaxed));
        let may_be_stale = Duration::from_millis(since_kept_ms) <= 2 * POOL_IDLE;
        match self.authorised(request(&self.http)).send().await {
            Ok(response) => self.accepted(response).await,
            Err(error) if may_be_stale && !error.is_connect() && !error.is_timeout() => {
                self.kept_alive_ms.store(0, Ordering::Relaxed);
                tracing::debug!(endpoint = self.name(), error = ?error, "a kept connection was closed: asked again");
                self.send(request(&self.fresh)).await
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.endpoint.api_key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = self.authorised(request).send().await.map_err(|error| self.broken(&error))?;
        self.accepted(response).await
    }

    /// Any 2xx is an answer.
    async fn accepted(&self, response: Response) -> Result<Response, Failure> {
        let closes = response
            .headers()
            .get(CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        if !closes && response.version() >= Version::HTTP_11 {
            self.kept_alive_ms.store(self.clock.unix_millis(), Ordering::Relaxed);
        }
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.failure(response).await)
    }

    /// Reads the rest of an answer of at most `limit` bytes.
    pub(crate) async fn body(&self, response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut pieces = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.broken(&error))?;
            if body.len() + piece.len() > limit {
                let reason = format!("endpoint {} sent more than {limit} bytes", self.name());
                return Err(Failure::Broken(reason));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What a broken connection means. The address stays in the operator's log.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Failure {
        tracing::debug!(endpoint = self.name(), error = ?error, "a backend's connection failed");
        let name = self.name();
        match () {
            () if error.is_connect() => Failure::Away(format!("endpoint {name} can't be reached")),
            () if error.is_timeout() => Failure::Broken(format!("endpoint {name} did not answer in time")),
            () => Failure::Broken(format!("endpoint {name} broke the connection")),
        }
    }

    async fn failure(&self, response: Response) -> Failure {
        let status = response.status();
        let name = self.name();
        match status.as_u16() {
            401 | 403 => {
                return Failure::Broken(format!(
                    "endpoint {name} refused the key with status {status}: check its apiKey"
                ));
            }
            300..=399 => {
                return Failure::Broken(format!(
                    "endpoint {name} redirects, which is not followed: check its url"
                ));
            }
            _ => {}
        }
        let retry_after = retry_after(response.headers());
        let body = self.body(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
        let body = self.without_key(String::from_utf8_lossy(&body).trim().trim_start_matches('\u{feff}'));
        let json = serde_json::from_str::<Map<String, Value>>(&body).ok();
        let mut refusal = match &json {
            Some(json) => refusal_of(json, None),
            None => Refusal::failed(body.as_str()),
        };
        let (told, is_said) = told_status(status, json.is_some());
        refusal.status = told;
        refusal.retry_after = retry_after.or(refusal.retry_after);
        if matches!(told, Some(429 | 503)) {
            refusal.retry_after = refusal.retry_after.or(Some(RETRY_AFTER));
            refusal.message = format!("endpoint {name}: {}", refusal.message);
        }
        let refusal = refusal.bounded();
        if is_said {
            return Failure::Refused { refusal, body };
        }
        Failure::Broken(format!("endpoint {name} answered with status {status}: {}", refusal.message))
    }

    /// The text without the backend's key, which some backends repeat.
    fn without_key(&self, text: &str) -> String {
        match &self.endpoint.api_key {
            Some(key) => text.replace(key.expose_secret(), "…"),
            None => text.to_owned(),
        }
    }
}

/// The status that an app is told for a backend's, and whether it is told at all. Without JSON, 404 says that the route
/// is missing.
fn told_status(status: StatusCode, is_json: bool) -> (Option<u16>, bool) {
    match status.as_u16() {
        404 if !is_json => (None, false),
        415 => (Some(400), true),
        // Cloud providers' own word for "overloaded".
        529 => (Some(503), true),
        said @ (400 | 404 | 413 | 422 | 429 | 503) => (Some(said), true),
        _ => (None, false),
    }
}

/// Seconds after which to try again, rounded up; a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"))?;
    (seconds.is_finite() && seconds >= 0.0).then(|| seconds.ceil() as u64)
}

/// The address of a route below `/v1`, which the backend's address may hold already.
fn route(url: &Url, route: &str) -> Option<Url> {
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
fn beside_version(url: &Url, route: &str) -> Option<Url> {
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

    #[test]
    fn the_time_to_wait_is_read_in_seconds() {
        let waits = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(waits("retry-after", "2"), Some(2));
        assert_eq!(waits("retry-after", "1.2"), Some(2));
        assert_eq!(waits("retry-after-ms", "1500"), Some(2));
        for odd in ["-1", "inf", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT", ""] {
            assert_eq!(waits("retry-after", odd), None, "{odd}");
        }
    }
}
