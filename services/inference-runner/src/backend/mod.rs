//! One backend over HTTP: its list of models, its answers, and what its refusals mean.

mod address;
mod connections;
mod failure;
mod known;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::Value;
use t4t_clock::SharedClock;
use t4t_panics::Lock;
use url::Url;

use crate::endpoints::Endpoint;
use crate::error::StartError;
use crate::listing::{Listing, listing_of};
use crate::repair::repaired;

use address::{beside_version, route};
use connections::Connections;
use failure::retry_after;
use known::Known;

pub(crate) use failure::{AWAY, Failure};
pub(crate) use known::{Program, Shown};

/// The longest list of models taken, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;
/// The longest refusal read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;

/// A client for one backend.
#[derive(Debug)]
pub(crate) struct Backend {
    endpoint: Endpoint,
    connections: Connections,
    models: Url,
    chat: Url,
    in_flight: AtomicU32,
    /// What is known of it beyond its list.
    pub(crate) known: Lock<Known>,
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
        let address = || StartError::Address { endpoint: endpoint.name.clone() };
        let models = route(&endpoint.url, "models").ok_or_else(address)?;
        let chat = route(&endpoint.url, "chat/completions").ok_or_else(address)?;
        Ok(Self {
            connections: Connections::new(&endpoint.url, connect, clock).map_err(StartError::HttpClient)?,
            endpoint,
            models,
            chat,
            in_flight: AtomicU32::new(0),
            known: Lock::default(),
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
        let list = self.read_json(self.connections.client().get(self.models.clone())).await?;
        Ok(listing_of(&list))
    }

    /// Asks one of the backend's own routes, beside `/v1`, for JSON. The caller limits the time.
    pub(crate) async fn native(&self, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let not_there = || Failure::Broken(format!("endpoint {} has no {path}", self.name()));
        let address = beside_version(&self.endpoint.url, path).ok_or_else(not_there)?;
        let client = self.connections.client();
        let request = match body {
            Some(body) => {
                client.post(address).header(CONTENT_TYPE, "application/json").body(body.to_string())
            }
            None => client.get(address),
        };
        self.read_json(request).await
    }

    async fn read_json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.connections.send(self.authorised(request)).await;
        let response = self.accepted(response).await?;
        let body = self.body(response, MAX_LIST_BYTES).await?;
        let text = String::from_utf8_lossy(&body);
        let text = text.trim_start_matches('\u{feff}');
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&repaired(text))).map_err(|_| {
            Failure::Broken(format!("endpoint {} answers with no JSON where JSON is due", self.name()))
        })
    }

    /// Asks for an answer; returns once the backend has begun. The caller limits the time.
    pub(crate) async fn complete(&self, body: Bytes) -> Result<Response, Failure> {
        let request = |client: &reqwest::Client| {
            let request = client.post(self.chat.clone()).header(CONTENT_TYPE, "application/json");
            self.authorised(request.header(ACCEPT, "text/event-stream, application/json").body(body.clone()))
        };
        let response = self.connections.send_anyhow(request).await;
        self.accepted(response).await
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.endpoint.api_key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    /// Any 2xx is an answer.
    async fn accepted(&self, response: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
        let response = response.map_err(|error| self.broken(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.failure(response).await) }
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
        if let Some(failure) = Failure::of_status(status, self.name()) {
            return failure;
        }
        let retry_after = retry_after(response.headers());
        let body = self.body(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
        let body = self.without_key(String::from_utf8_lossy(&body).trim().trim_start_matches('\u{feff}'));
        Failure::of_body(status, retry_after, self.name(), body)
    }

    /// The text without the backend's key, which some backends repeat.
    fn without_key(&self, text: &str) -> String {
        match &self.endpoint.api_key {
            Some(key) => text.replace(key.expose_secret(), "…"),
            None => text.to_owned(),
        }
    }
}
