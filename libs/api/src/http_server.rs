//! A service reached over HTTP: routes that hand messages to whatever serves them.
//!
//! A body is the message as JSON. The answer is the reply as JSON with status 200, or the service's error as JSON with
//! the status it names. A stream is answered as lines of JSON: `{"item":…}` for each piece, then `{"end":true}`, or
//! `{"error":…}` where it broke off. While nothing comes, an empty line is sent now and then: without something to write,
//! the server would not notice that the caller went away.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, ORIGIN, RETRY_AFTER};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::call::{Call, Serve, ServeStream, ServiceError, StreamCall, TransportError};
use crate::trace::{REQUEST_ID, TRACE_PARENT, Trace};

/// Between two empty lines. A caller's absence shows at the second one, so within a second.
const HEARTBEAT: Duration = Duration::from_millis(300);

/// Who may send messages: whoever knows the token. There is no guard without one, because any user of a machine reaches
/// its loopback.
#[derive(Clone)]
pub struct Guard {
    service: &'static str,
    token: Arc<SecretString>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard for the named service, or for the part of it that this token opens.
    pub fn new(service: &'static str, token: SecretString) -> Self {
        Self { service, token: Arc::new(token) }
    }

    fn check(&self, request: &HttpRequest) -> Result<(), TransportError> {
        // A page that somebody opens on this machine reaches loopback too. Browsers name the page's origin, and send JSON
        // only after asking, which nobody answers here.
        let is_json = request.content_type().eq_ignore_ascii_case("application/json");
        if request.headers().contains_key(ORIGIN) || !is_json {
            let reason = "it is taken as application/json, and from no web page".into();
            return Err(TransportError::Malformed { service: self.service.into(), reason });
        }
        let given =
            request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        if equal(given.as_bytes(), self.token.expose_secret().as_bytes()) {
            return Ok(());
        }
        Err(TransportError::Unauthorized { service: self.service.into() })
    }
}

/// Compares hashes, so that the time taken says nothing about where the texts differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    t4t_types::keccak256(a) == t4t_types::keccak256(b)
}

fn parse<C: serde::de::DeserializeOwned>(guard: &Guard, body: &[u8]) -> Result<C, TransportError> {
    let unreadable = |error: serde_json::Error| TransportError::Malformed {
        service: guard.service.into(),
        reason: error.to_string(),
    };
    serde_json::from_slice(body).map_err(unreadable)
}

fn refusal<E: ServiceError>(error: &E) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((RETRY_AFTER, "1"));
    }
    response.json(error)
}

/// The work that a call belongs to. Only who knows the token is believed, so it is asked for after the guard.
fn trace_of(request: &HttpRequest) -> Trace {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    Trace::taken_over(header(REQUEST_ID), header(TRACE_PARENT))
}

/// Says that a message came, then works on it.
async fn told<T>(path: &'static str, work: impl Future<Output = T>) -> T {
    tracing::debug!(path, "asked");
    work.await
}

/// Adds the route for one message.
pub fn call_route<C: Call, S: Serve<C> + ?Sized + 'static>(
    routes: &mut web::ServiceConfig,
    guard: &Guard,
    service: &Arc<S>,
) {
    let (guard, service) = (guard.clone(), Arc::clone(service));
    let handle = move |request: HttpRequest, body: Bytes| {
        let (guard, service) = (guard.clone(), Arc::clone(&service));
        async move {
            let call = guard.check(&request).and_then(|()| parse::<C>(&guard, &body));
            let answer = match call {
                Ok(call) => trace_of(&request).scope(told(C::PATH, service.ask(call))).await,
                Err(error) => Err(error.into()),
            };
            match answer {
                Ok(reply) => HttpResponse::Ok().json(reply),
                Err(error) => refusal(&error),
            }
        }
    };
    routes.route(C::PATH, web::post().to(handle));
}

/// Adds the route for one message that is answered in pieces.
pub fn stream_route<C: StreamCall, S: ServeStream<C> + ?Sized + 'static>(
    routes: &mut web::ServiceConfig,
    guard: &Guard,
    service: &Arc<S>,
) {
    let (guard, service) = (guard.clone(), Arc::clone(service));
    let handle = move |request: HttpRequest, body: Bytes| {
        let (guard, service) = (guard.clone(), Arc::clone(&service));
        async move {
            let call = guard.check(&request).and_then(|()| parse::<C>(&guard, &body));
            let trace = trace_of(&request);
            let opened = match call {
                Ok(call) => trace.clone().scope(told(C::PATH, service.open(call))).await,
                Err(error) => Err(error.into()),
            };
            let items = match opened {
                Ok(items) => trace.scope(items),
                Err(error) => return refusal(&error),
            };
            let lines = items.map(|item| line(&Line::from(item)));
            let end = stream::once(future::ready(line(&Line::<C::Item, C::Error>::End(true))));
            HttpResponse::Ok()
                .content_type("application/x-ndjson")
                .streaming(with_heartbeat(lines.chain(end)))
        }
    };
    routes.route(C::PATH, web::post().to(handle));
}

fn with_heartbeat<E>(lines: impl Stream<Item = Result<Bytes, E>>) -> impl Stream<Item = Result<Bytes, E>> {
    async_stream::stream! {
        let mut lines = std::pin::pin!(lines);
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                biased;
                line = lines.next() => match line {
                    Some(line) => yield line,
                    None => return,
                },
                _ = heartbeat.tick() => yield Ok(Bytes::from_static(b"\n")),
            }
            heartbeat.reset();
        }
    }
}

/// One line of a stream's body.
#[derive(Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line<T, E> {
    Item(T),
    Error(E),
    End(bool),
}

impl<T, E> From<Result<T, E>> for Line<T, E> {
    fn from(item: Result<T, E>) -> Self {
        match item {
            Ok(item) => Self::Item(item),
            Err(error) => Self::Error(error),
        }
    }
}

fn line<T: Serialize, E: Serialize>(line: &Line<T, E>) -> Result<Bytes, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn no_web_page_gives_orders() {
        let guard = Guard::new("settlement", "a token of tests".into());
        let post = || TestRequest::post().insert_header(("authorization", "Bearer a token of tests"));
        let json = || post().insert_header(("content-type", "application/json"));
        let is_refused = |request: TestRequest| guard.check(&request.to_http_request()).is_err();
        assert!(!is_refused(json()));
        assert!(!is_refused(post().insert_header(("content-type", "application/json; charset=utf-8"))));
        assert!(is_refused(json().insert_header(("origin", "https://a.example"))));
        assert!(is_refused(json().insert_header(("origin", "null"))));
        for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            assert!(is_refused(post().insert_header(("content-type", simple))), "{simple}");
        }
        assert!(is_refused(post()));
    }

    #[test]
    fn nobody_is_let_in_without_the_token() {
        let guard = Guard::new("settlement", "a token of tests".into());
        let json = || TestRequest::post().insert_header(("content-type", "application/json"));
        let refusal = |request: TestRequest| guard.check(&request.to_http_request());
        let unauthorized = Err(TransportError::Unauthorized { service: "settlement".into() });
        assert_eq!(refusal(json()), unauthorized);
        for wrong in
            ["", "Bearer ", "Bearer", "Bearer a token of test", "a token of tests", "Basic a token of tests"]
        {
            assert_eq!(refusal(json().insert_header(("authorization", wrong))), unauthorized, "{wrong:?}");
        }
    }

    #[test]
    fn a_call_goes_on_with_the_callers_work() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = TestRequest::post().insert_header((REQUEST_ID, "app-1"));
        let trace = trace_of(&request.insert_header((TRACE_PARENT, parent)).to_http_request());
        assert_eq!(trace.request_id(), "app-1");
        assert_eq!(trace.parent()[..36], parent[..36]);
        let nobody = trace_of(&TestRequest::post().to_http_request());
        assert!(nobody.request_id().starts_with("req_"), "{nobody:?}");
    }
}
