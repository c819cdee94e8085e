//! One HTTP exchange with one endpoint, in bounded time and memory.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use t4t_clock::Clock;
use url::Url;

use crate::error::{ChainError, EndpointFault, shortened};

/// What came back over HTTP.
pub(crate) enum Reply {
    /// A body that may hold answers; `refused` if the status says that the request was not taken.
    Body { bytes: Vec<u8>, refused: Option<StatusCode> },
    /// The endpoint did not do its work; it may have said when to come back.
    Fault { fault: EndpointFault, retry_after: Option<Duration> },
    /// The body is longer than the limit.
    TooLarge,
}

/// Makes the client that all endpoints share.
pub(crate) fn client() -> Result<Client, ChainError> {
    // Fails only if a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none()).tcp_nodelay(true);
    builder.build().map_err(|cause| ChainError::Setup(causes(&cause)))
}

/// Posts `body` and waits at most `limit` for the whole reply.
pub(crate) async fn post(
    client: &Client,
    clock: &dyn Clock,
    url: &Url,
    body: Vec<u8>,
    limit: Duration,
    max_bytes: usize,
) -> Reply {
    let exchange = async {
        let request = client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        match request.send().await {
            Ok(response) => read(response, max_bytes).await,
            Err(cause) => broken(cause),
        }
    };
    match t4t_clock::timeout(clock, limit, exchange).await {
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
    if overloaded || status.is_redirection() {
        return Reply::Fault { fault: EndpointFault::Status(status.as_u16()), retry_after };
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > max_bytes => return Reply::TooLarge,
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Reply::Body { bytes, refused: (!status.is_success()).then_some(status) },
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
