//! One HTTP exchange with one endpoint, in bounded time and memory.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use t4t_clock::Clock;
use url::Url;

use crate::error::{ChainError, EndpointFault, shortened};

/// What came back from an endpoint.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A body that may hold answers.
    Body {
        /// The body.
        bytes: Vec<u8>,
        /// The HTTP status, if it says that the request was not taken.
        refused: Option<u16>,
    },
    /// The endpoint did not do its work.
    Fault {
        /// What was seen.
        fault: EndpointFault,
        /// When it asked to be asked again.
        retry_after: Option<Duration>,
    },
    /// The body is longer than the limit.
    TooLarge,
}

/// The way to an endpoint and back: HTTP, or a simulated chain.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Posts a JSON-RPC body and takes at most `max_bytes` of the reply. The caller bounds the wait.
    async fn post(&self, url: &Url, body: Vec<u8>, max_bytes: usize) -> Reply;

    /// Any number, to spread the pauses after a failure with. A simulation throws its own dice.
    fn random(&self) -> u32 {
        getrandom::u32().unwrap_or(u32::MAX)
    }
}

/// HTTP: directly to an endpoint that is near, through the system's proxy, if it has one, to one of the internet.
#[derive(Debug)]
pub(crate) struct Http {
    direct: Client,
    outside: Client,
}

impl Http {
    pub(crate) fn new() -> Result<Self, ChainError> {
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|cause| ChainError::Setup(causes(&cause)))
        };
        Ok(Self { direct: build(t4t_outbound::direct())?, outside: build(t4t_outbound::outside())? })
    }

    fn client(&self, url: &Url) -> &Client {
        if t4t_outbound::passes_proxy(url) { &self.outside } else { &self.direct }
    }
}

#[async_trait]
impl Transport for Http {
    async fn post(&self, url: &Url, body: Vec<u8>, max_bytes: usize) -> Reply {
        let request = self.client(url).post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        match request.send().await {
            Ok(response) => read(response, max_bytes).await,
            Err(cause) => broken(cause),
        }
    }
}

/// Posts `body` and waits at most `limit` for the whole reply.
pub(crate) async fn post(
    transport: &dyn Transport,
    clock: &dyn Clock,
    url: &Url,
    body: Vec<u8>,
    limit: Duration,
    max_bytes: usize,
) -> Reply {
    match t4t_clock::timeout(clock, limit, transport.post(url, body, max_bytes)).await {
        Ok(reply) => reply,
        Err(t4t_clock::Elapsed) => Reply::Fault { fault: EndpointFault::Timeout(limit), retry_after: None },
    }
}

async fn read(mut response: Response, max_bytes: usize) -> Reply {
    let status = response.status();
    let retry_after = retry_after(&response);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Reply::Fault { fault: EndpointFault::RateLimited, retry_after };
    }
    let overloaded = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
    // Whatever the body says then, it is about who asks and not about what.
    let locked = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::PAYMENT_REQUIRED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    );
    if overloaded || locked || status.is_redirection() {
        return Reply::Fault { fault: EndpointFault::Status(status.as_u16()), retry_after };
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > max_bytes => return Reply::TooLarge,
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => {
                return Reply::Body { bytes, refused: (!status.is_success()).then_some(status.as_u16()) };
            }
            Err(cause) => return broken(cause),
        }
    }
}

/// Seconds that the endpoint asks to be left alone; the form with a date is not used by endpoints.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn broken(cause: reqwest::Error) -> Reply {
    // The URL may hold an API key.
    let fault = EndpointFault::Connection(causes(&cause.without_url()));
    Reply::Fault { fault, retry_after: None }
}

/// The texts of an error and its causes: reqwest's own text hides why a connection failed.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    shortened(&text)
}
