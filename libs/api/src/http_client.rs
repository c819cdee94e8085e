//! A service in another container, reached over HTTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::call::{Call, ItemStream, Serve, ServeStream, StreamCall, TransportError};
use crate::http_server::Line;
use crate::trace::{REQUEST_ID, TRACE_PARENT, Trace};

/// The longest answer taken, in bytes: an OpenAI answer with everything it may hold stays far below.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// A server writes something several times a second while a stream is open: one that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// Times a message is sent when nothing came back.
const ATTEMPTS: u32 = 3;

/// Where a service is and how to be let in.
#[derive(Debug)]
pub struct HttpClientConfig {
    /// The service's name, for errors.
    pub service: &'static str,
    /// The service's address.
    pub url: Url,
    /// The token that lets in there (`T4T_SERVICE_TOKEN`, or `T4T_RUNNER_TOKEN` between a dispatcher and its runners).
    pub token: SecretString,
}

/// Sends a service's messages over HTTP.
pub struct HttpClient {
    config: HttpClientConfig,
    http: reqwest::Client,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("service", &self.config.service)
            .field("url", &self.config.url.as_str())
            .finish()
    }
}

impl HttpClient {
    /// A client for one service.
    ///
    /// # Errors
    /// The system's TLS set-up can't be used.
    pub fn new(config: HttpClientConfig) -> Result<Self, TransportError> {
        let built = t4t_outbound::direct().connect_timeout(Duration::from_secs(3)).build();
        let http = built.map_err(|error| unreachable(config.service, &error))?;
        Ok(Self { config, http })
    }

    async fn post<C: Serialize>(
        &self,
        path: &str,
        call: &C,
        deadline: Duration,
    ) -> Result<Response, TransportError> {
        let url = format!("{}{path}", self.config.url.as_str().trim_end_matches('/'));
        let trace = Trace::current().unwrap_or_default();
        let request = self.http.post(url).json(call).bearer_auth(self.config.token.expose_secret());
        let request = request.header(REQUEST_ID, trace.request_id()).header(TRACE_PARENT, trace.parent());
        match tokio::time::timeout(deadline, request.send()).await {
            Ok(answer) => answer.map_err(|error| unreachable(self.config.service, &error)),
            Err(_) => Err(self.timed_out(deadline)),
        }
    }

    fn timed_out(&self, deadline: Duration) -> TransportError {
        let after_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        TransportError::TimedOut { service: self.config.service.into(), after_ms }
    }

    fn malformed(&self, reason: impl fmt::Display) -> TransportError {
        TransportError::Malformed { service: self.config.service.into(), reason: reason.to_string() }
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, TransportError> {
        serde_json::from_slice(bytes).map_err(|error| self.malformed(error))
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, TransportError> {
        let mut pieces = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| unreachable(self.config.service, &error))?;
            if body.len() + piece.len() > MAX_REPLY_BYTES {
                return Err(self.malformed("the answer is too long"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn exchange<C: Call>(&self, call: &C) -> Result<(StatusCode, Vec<u8>), TransportError> {
        let limit = C::DEADLINE;
        let exchange = async {
            let response = self.post(C::PATH, call, limit).await?;
            let status = response.status();
            Ok((status, self.body(response).await?))
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(self.timed_out(limit)))
    }
}

fn unreachable(service: &'static str, error: &reqwest::Error) -> TransportError {
    TransportError::Unreachable { service: service.into(), reason: error.to_string() }
}

#[async_trait]
impl<C: Call> Serve<C> for HttpClient {
    async fn ask(&self, call: C) -> Result<C::Reply, C::Error> {
        let attempts = if C::IDEMPOTENT { ATTEMPTS } else { 1 };
        let mut answer = self.exchange(&call).await;
        for _ in 1..attempts {
            if !matches!(answer, Err(TransportError::Unreachable { .. })) {
                break;
            }
            answer = self.exchange(&call).await;
        }
        let (status, body) = answer?;
        if status.is_success() {
            return Ok(self.read(&body)?);
        }
        Err(self.read::<C::Error>(&body)?)
    }
}

#[async_trait]
impl<C: StreamCall> ServeStream<C> for HttpClient {
    async fn open(&self, call: C) -> Result<ItemStream<C>, C::Error> {
        let response = self.post(C::PATH, &call, C::DEADLINE).await?;
        if !response.status().is_success() {
            let body = self.body(response).await?;
            return Err(self.read::<C::Error>(&body)?);
        }
        let service = self.config.service;
        Ok(Box::pin(async_stream::stream! {
            let mut lines = Lines::new(service, response);
            loop {
                match lines.next::<C>().await {
                    Ok(Line::Item(item)) => yield Ok(item),
                    Ok(Line::End(_)) => return,
                    Ok(Line::Error(error)) => {
                        yield Err(error);
                        return;
                    }
                    Err(error) => {
                        yield Err(error.into());
                        return;
                    }
                }
            }
        }))
    }
}

/// The lines of a stream's body.
struct Lines {
    service: &'static str,
    pieces: futures_util::stream::BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>,
    buffer: Vec<u8>,
    /// How much of the buffer was searched for a line's end.
    searched: usize,
}

impl Lines {
    fn new(service: &'static str, response: Response) -> Self {
        Self { service, pieces: response.bytes_stream().boxed(), buffer: Vec::new(), searched: 0 }
    }

    async fn next<C: StreamCall>(&mut self) -> Result<Line<C::Item, C::Error>, TransportError> {
        let malformed = |reason: String| TransportError::Malformed { service: self.service.into(), reason };
        loop {
            let end = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
            if let Some(end) = end.map(|end| self.searched + end) {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line).map_err(|error| malformed(error.to_string()));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_REPLY_BYTES {
                return Err(malformed("a line is too long".into()));
            }
            match tokio::time::timeout(SILENCE, self.pieces.next()).await {
                Ok(Some(Ok(piece))) => self.buffer.extend_from_slice(&piece),
                Ok(Some(Err(error))) => return Err(unreachable(self.service, &error)),
                Ok(None) => return Err(malformed("the stream broke off".into())),
                Err(_) => {
                    let after_ms = u64::try_from(SILENCE.as_millis()).unwrap_or(u64::MAX);
                    return Err(TransportError::TimedOut { service: self.service.into(), after_ms });
                }
            }
        }
    }
}
