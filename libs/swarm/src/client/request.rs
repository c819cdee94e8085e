//! One HTTP call: bounded in time and bytes, its errors told apart.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use t4t_clock::timeout;
use t4t_types::BatchId;
use tracing::debug;
use url::Url;

use super::{Bee, BeeConfig};
use crate::SwarmError;

/// Most bytes of a JSON answer; the longest is a list of stamps.
pub(super) const ANSWER_BYTES: usize = 4 << 20;
/// Most bytes of an error that are read and shown.
const ERROR_BYTES: usize = 64 << 10;
const SHOWN_CHARACTERS: usize = 300;
/// Nodes close idle connections after 30 s.
const POOL_IDLE: Duration = Duration::from_secs(20);

pub(super) const BATCH_HEADER: HeaderName = HeaderName::from_static("swarm-postage-batch-id");

pub(super) fn http_client(config: &BeeConfig) -> Result<reqwest::Client, SwarmError> {
    let mut builder =
        t4t_outbound::direct().connect_timeout(config.connect_timeout).pool_idle_timeout(POOL_IDLE);
    if config.api_url.scheme() == "http" {
        // A machine without root certificates can still talk to its own node.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| SwarmError::Setup(error.without_url().to_string()))
}

/// A call that has not been made yet.
pub(super) struct Call {
    name: &'static str,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
    batch: Option<BatchId>,
    repeatable: bool,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
}

impl Bee {
    /// A call to the path made of `segments`, which are escaped.
    pub(super) fn call(&self, name: &'static str, method: Method, segments: &[&str]) -> Call {
        let mut url = self.shared.config.api_url.clone();
        url.path_segments_mut().expect("checked when the client was made").pop_if_empty().extend(segments);
        let repeatable = method == Method::GET;
        let limit = self.shared.config.query_timeout;
        Call {
            name,
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            limit,
            batch: None,
            repeatable,
        }
    }

    /// Makes the call and gives the answer's body to `read`, both within the call's limit.
    pub(super) async fn run<T, F: Future<Output = Result<T, SwarmError>>>(
        &self,
        call: &Call,
        read: impl FnOnce(Response) -> F,
    ) -> Result<T, SwarmError> {
        let work = async {
            let response = self.send(call).await?;
            if response.status().is_success() {
                return read(response).await;
            }
            Err(call.error_of(response).await)
        };
        match timeout(&*self.shared.clock, call.limit, work).await {
            Ok(result) => result,
            Err(t4t_clock::Elapsed) => Err(SwarmError::TimedOut(call.limit)),
        }
    }

    /// Makes the call and reads a JSON answer.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, SwarmError> {
        let name = call.name;
        self.run(call, |response| async move {
            let body = read_body(response, name, ANSWER_BYTES).await?;
            serde_json::from_slice(&body)
                .map_err(|source| SwarmError::Malformed { call: name, source: Some(source) })
        })
        .await
    }

    /// Sends, and once more if a kept connection turned out to be dead.
    async fn send(&self, call: &Call) -> Result<Response, SwarmError> {
        let attempt = || {
            let request = self.shared.http.request(call.method.clone(), call.url.clone());
            request.headers(call.headers.clone()).body(call.body.clone()).send()
        };
        let first = attempt().await;
        let died = |error: &reqwest::Error| error.is_request() && !error.is_connect() && !error.is_timeout();
        let result = match first {
            Err(error) if call.repeatable && died(&error) => {
                debug!(call = call.name, "the connection was dead, dialling anew");
                attempt().await
            }
            other => other,
        };
        result.map_err(|error| SwarmError::Unreachable(error.without_url()))
    }
}

impl Call {
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("callers hand in visible ASCII");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(super) fn stamped(mut self, batch: &BatchId) -> Self {
        let value = HeaderValue::from_str(&batch.to_string()).expect("hexadecimal digits are visible ASCII");
        self.headers.insert(BATCH_HEADER, value);
        self.batch = Some(*batch);
        self
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// The same bytes sent twice do no harm: they lie at the same address under the same stamp.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    async fn error_of(&self, response: Response) -> SwarmError {
        let status = response.status();
        let body = read_body(response, self.name, ERROR_BYTES).await.unwrap_or_default();
        let message = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => error.message,
            Err(_) => String::from_utf8_lossy(&body).into_owned(),
        };
        let message: String =
            message.chars().filter(|char| !char.is_control()).take(SHOWN_CHARACTERS).collect();
        self.error(status, message)
    }

    fn error(&self, status: StatusCode, message: String) -> SwarmError {
        let about_batch = message.contains("batch");
        match (status.as_u16(), self.batch) {
            (402, Some(batch)) => SwarmError::StampFull(batch),
            (422, Some(batch)) => SwarmError::StampUnusable { batch, message },
            (400 | 404, Some(batch)) if about_batch => SwarmError::StampUnusable { batch, message },
            (402, None) => SwarmError::OutOfFunds(message),
            (400, None) if message == "out of funds" => SwarmError::OutOfFunds(message),
            (404, None) => SwarmError::NotFound(self.url.path().to_owned()),
            (status, _) => SwarmError::Node { status, message },
        }
    }
}

/// Reads at most `limit` bytes of an answer.
pub(super) async fn read_body(
    response: Response,
    what: &'static str,
    limit: usize,
) -> Result<Bytes, SwarmError> {
    let too_large = SwarmError::TooLarge { what, limit };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let mut body = BytesMut::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| SwarmError::Unreachable(error.without_url()))?;
        if body.len() + piece.len() > limit {
            return Err(too_large);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}
