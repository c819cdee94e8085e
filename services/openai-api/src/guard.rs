//! What every request passes before its route: request id, host, origin, API key, CORS, timing.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError, web};
use secrecy::{ExposeSecret, SecretString};
use t4t_api::{TRACE_PARENT, Trace};
use t4t_runtime::http::{called, is_from_a_foreign_page};
use t4t_types::keccak256;

use crate::config::AllowedOrigins;
use crate::error::GatewayError;
use crate::state::Edge;

const REQUEST_ID: HeaderName = HeaderName::from_static(t4t_api::REQUEST_ID);
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// Routes that tell nothing and cost nothing: open without a key, for whoever watches the process.
const OPEN_PATHS: [&str; 2] = ["/health", "/ready"];

/// What pages may read beside the body.
const EXPOSED: &str = "x-request-id, openai-processing-ms, retry-after, x-should-retry, x-t4t-provider, x-t4t-job, \
                       x-t4t-request, x-t4t-cost-plur, x-t4t-attempts";

/// Lets a request through to its route or turns it away; either answer carries the same headers.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let edge = request.app_data::<web::Data<Edge>>().cloned().expect("the server is built with its state");
    let began_ms = edge.clock.unix_millis();
    let trace = trace_of(request.headers());
    let id = HeaderValue::try_from(trace.request_id()).expect("an id that can stand in a log is plain text");
    let origin = request.headers().get(header::ORIGIN).cloned();
    let label = format!("{} {}", request.method(), request.path());
    let mut response = match admit(&edge, &request) {
        Err(error) => request.into_response(error.error_response()),
        Ok(()) if *request.method() == Method::OPTIONS => preflight(request),
        Ok(()) => trace.scope(next.call(request)).await?.map_into_boxed_body(),
    };
    let took_ms = edge.clock.unix_millis().saturating_sub(began_ms);
    log(&label, &id, took_ms, &response);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(PROCESSING_MS, HeaderValue::from(took_ms));
    if let Some(origin) = origin {
        share(headers, &edge, origin);
    }
    Ok(response)
}

fn admit(edge: &Edge, request: &ServiceRequest) -> Result<(), GatewayError> {
    let headers = request.headers();
    let open = *request.method() == Method::OPTIONS || OPEN_PATHS.contains(&request.path());
    if !names_it_rightly(edge, request, open) {
        return Err(GatewayError::ForeignHost { host: called(headers) });
    }
    if is_from_a_foreign_page(headers) && edge.config.allowed_origins != AllowedOrigins::Any {
        return Err(GatewayError::ForeignPage);
    }
    if let Some(origin) = headers.get(header::ORIGIN)
        && !allows(edge, origin)
    {
        return Err(GatewayError::ForeignOrigin {
            origin: String::from_utf8_lossy(origin.as_bytes()).into(),
        });
    }
    match &edge.config.api_key {
        Some(key) if !open && !has_key(headers, key) => Err(GatewayError::WrongApiKey),
        _ => Ok(()),
    }
}

/// Whether the gateway answers to the name that it is called by. One that is published with an API key does not know
/// its names and need not: whatever matters there asks for the key, which no page has.
fn names_it_rightly(edge: &Edge, request: &ServiceRequest, open: bool) -> bool {
    let is_published = edge.config.api_key.is_some() && !edge.config.bind.ip().is_loopback();
    let asks_for_key = !open || *request.method() == Method::OPTIONS;
    (is_published && asks_for_key) || edge.hosts.allow(request.headers())
}

/// Whether a page of this origin may ask. With an API key any page may: a browser adds no key by itself.
fn allows(edge: &Edge, origin: &HeaderValue) -> bool {
    edge.config.api_key.is_some()
        || edge.config.allowed_origins == AllowedOrigins::Any
        || origin.to_str().is_ok_and(|origin| edge.config.allowed_origins.allows(origin))
}

/// Clients name the key in one of three headers; some send an empty one of another name beside it.
fn has_key(headers: &HeaderMap, key: &SecretString) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    // Hashes are compared, so that the time taken says nothing about where the texts differ.
    let expected = keccak256(key.expose_secret());
    [bearer, text("x-api-key"), text("api-key")]
        .into_iter()
        .flatten()
        .any(|given| keccak256(given) == expected)
}

/// The client's own request id and trace if they are sane, else new ones.
fn trace_of(headers: &HeaderMap) -> Trace {
    let given = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    Trace::taken_over(given(REQUEST_ID.as_str()), given(TRACE_PARENT))
}

/// Answers a browser's question whether it may ask.
fn preflight(request: ServiceRequest) -> ServiceResponse {
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let wanted = wanted.unwrap_or(HeaderValue::from_static("authorization, content-type"));
    let response = HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, wanted))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish();
    request.into_response(response)
}

/// Lets a page of an allowed origin read the answer, and one of any other not.
fn share(headers: &mut HeaderMap, edge: &Edge, origin: HeaderValue) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if allows(edge, &origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

fn log(call: &str, id: &HeaderValue, took_ms: u64, response: &ServiceResponse) {
    let (status, request_id) = (response.status().as_u16(), id.to_str().unwrap_or_default());
    match response.response().error() {
        Some(error) if status >= 500 => {
            tracing::warn!(call, request_id, status, took_ms, %error, "failed")
        }
        Some(error) => tracing::info!(call, request_id, status, took_ms, %error, "refused"),
        None => tracing::debug!(call, request_id, status, took_ms, "answered"),
    }
}
