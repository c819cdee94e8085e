//! What can go wrong, and how apps are told.
//!
//! | status | when |
//! |---|---|
//! | 400 | the request is wrong, here or at the provider |
//! | 401, 403 | the API key is wrong; the page, or the name that the gateway is called by, is not allowed |
//! | 402 | the wallet is empty, or a limit on spending is reached; official clients are told not to try again |
//! | 404, 405 | no such model, route or method |
//! | 408, 413, 415 | the body is too slow, too long, or compressed |
//! | 409 | an idempotency key that belongs to another request |
//! | 422, 429 | a backend says so |
//! | 502, 503, 504 | providers failed, are busy or away for a moment, or took too long |

use std::io;
use std::net::SocketAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::WatcherError;
use t4t_api::{ServiceError, TransportError};
use t4t_inference::Refusal;
use t4t_types::ModelId;

use crate::wire::answer::UnusableAnswer;
use crate::wire::error::{ErrorBody, ErrorDetail, Rejection};

/// When to try again where a backend that is busy does not say, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// The longest time after which an app is told to try again: official clients do not wait longer than two minutes.
const LONGEST_RETRY_AFTER_S: u64 = 3600;

/// The longest name that is taken over from a backend, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// The longest message that is shown, in characters.
const MAX_MESSAGE: usize = 2000;

/// Why the edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: choose another with T4T_GATEWAY_HOST and T4T_GATEWAY_PORT")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Why an app gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    #[error("{}", .0.message)]
    Rejected(Rejection),
    #[error("the API key is missing or wrong: send it as Authorization: Bearer KEY")]
    WrongApiKey,
    #[error("pages of {origin} may not use this gateway: its operator can allow them (T4T_ALLOWED_ORIGINS)")]
    ForeignOrigin { origin: String },
    #[error(
        "this gateway does not answer to {host}: call it by localhost or its address, or list the name in T4T_ALLOWED_HOSTS"
    )]
    ForeignHost { host: String },
    #[error("pages of other sites may not use this gateway")]
    ForeignPage,
    #[error("no live provider offers the model {model}: {hint}")]
    UnknownModel { model: String, hint: String },
    #[error("{setting} keeps the model {model} from apps: {hint}")]
    HiddenModel { model: String, setting: &'static str, hint: String },
    #[error("the providers of the model {model} are away at the moment, try again in {retry_after_s} s")]
    ModelAway { model: String, retry_after_s: u64 },
    #[error("there is no {method} {path}: see GET /v1/models and POST /v1/chat/completions")]
    UnknownRoute { method: String, path: String },
    #[error("{path} does not take {method}, only {allowed}")]
    WrongMethod { method: String, path: String, allowed: &'static str },
    #[error(
        "the request body is longer than {limit} bytes, the most that this gateway brings to a provider in time \
         (T4T_MAX_REQUEST_BYTES): send less, such as fewer or smaller pictures"
    )]
    BodyTooLong { limit: usize },
    #[error("the request body did not arrive within {after_s} s")]
    BodyTooSlow { after_s: u64 },
    #[error("the request body broke off: {reason}")]
    BodyBroken { reason: String },
    #[error("request bodies can't be compressed, send them without Content-Encoding")]
    Compressed,
    #[error("this Idempotency-Key belongs to another request: use a new key for each request")]
    KeyReused,
    #[error("the gateway has as much to do as it takes, try again in {retry_after_s} s")]
    Full { retry_after_s: u64 },
    #[error("the models can't be listed: {0}")]
    Watcher(WatcherError),
    #[error(transparent)]
    Buying(#[from] BuyingError),
    #[error(transparent)]
    UnusableAnswer(#[from] UnusableAnswer),
    #[error("the purchase ended without an answer")]
    NoAnswer,
    #[error("the system has no randomness")]
    NoRandomness,
}

/// What an error says besides its text.
#[derive(Clone, Copy, Debug)]
struct Facts<'a> {
    status: u16,
    kind: &'a str,
    code: Option<&'a str>,
    retry_after_s: Option<u64>,
    /// Official clients try 409 and everything from 500 on again by themselves.
    worth_retrying: bool,
}

impl<'a> Facts<'a> {
    const fn client(status: u16, code: &'a str) -> Self {
        let kind = "invalid_request_error";
        Self { status, kind, code: Some(code), retry_after_s: None, worth_retrying: true }
    }

    const fn server(status: u16, code: &'a str) -> Self {
        Self { status, kind: "server_error", code: Some(code), retry_after_s: None, worth_retrying: true }
    }

    /// Somebody has to pay, or to allow more: asking again changes nothing.
    const fn quota(status: u16) -> Self {
        let kind = "insufficient_quota";
        Self { status, kind, code: Some(kind), retry_after_s: None, worth_retrying: false }
    }

    const fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    const fn final_word(self) -> Self {
        Self { worth_retrying: false, ..self }
    }
}

impl GatewayError {
    fn facts(&self) -> Facts<'_> {
        match self {
            Self::Rejected(rejection) => Facts::client(400, rejection.code),
            Self::WrongApiKey => Facts::client(401, "invalid_api_key"),
            Self::ForeignOrigin { .. } => Facts::client(403, "origin_not_allowed"),
            Self::ForeignHost { .. } => Facts::client(403, "host_not_allowed"),
            Self::ForeignPage => Facts::client(403, "origin_not_allowed"),
            Self::UnknownModel { .. } | Self::HiddenModel { .. } => Facts::client(404, "model_not_found"),
            Self::ModelAway { retry_after_s, .. } => {
                Facts::server(503, "model_unavailable").retry_after(*retry_after_s)
            }
            Self::UnknownRoute { .. } => Facts::client(404, "unknown_url"),
            Self::WrongMethod { .. } => Facts::client(405, "method_not_allowed"),
            Self::BodyTooLong { .. } => Facts::client(413, "request_too_large"),
            Self::BodyTooSlow { .. } => Facts::client(408, "request_timeout"),
            Self::BodyBroken { .. } => Facts::client(400, "broken_body"),
            Self::Compressed => Facts::client(415, "unsupported_encoding"),
            Self::KeyReused => Facts::client(409, "idempotency_key_reused").final_word(),
            Self::Full { retry_after_s } => Facts::server(503, "overloaded").retry_after(*retry_after_s),
            Self::Watcher(error) => watcher_facts(error),
            Self::Buying(error) => buying_facts(error),
            Self::UnusableAnswer(_) => Facts::server(502, "unusable_answer"),
            Self::NoAnswer => Facts::server(502, "no_answer"),
            Self::NoRandomness => Facts::server(500, "internal_error"),
        }
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Rejected(rejection) => rejection.param.as_deref(),
            Self::UnknownModel { .. } | Self::HiddenModel { .. } | Self::ModelAway { .. } => Some("model"),
            Self::Buying(error) => buying_param(error),
            _ => None,
        }
    }

    /// Hands the body to whoever writes it.
    pub(crate) fn with_body<T>(&self, write: impl FnOnce(&ErrorBody<'_>) -> T) -> T {
        let facts = self.facts();
        // Others' words are among it.
        let message: String = self.to_string().chars().take(MAX_MESSAGE).collect();
        let message = if message.trim().is_empty() { "no reason was given" } else { &message };
        let detail = ErrorDetail { message, kind: facts.kind, param: self.param(), code: facts.code };
        write(&ErrorBody { error: detail })
    }
}

fn watcher_facts(error: &WatcherError) -> Facts<'static> {
    match error {
        WatcherError::Transport { cause } => transport_facts(cause),
        WatcherError::NotReady => Facts::server(error.status(), "not_ready").retry_after(1),
        _ => Facts::server(error.status(), "registry_unavailable"),
    }
}

/// What an error of the buying side comes to; the status is the one it names.
fn buying_facts(error: &BuyingError) -> Facts<'_> {
    let status = error.status();
    match error {
        BuyingError::UnknownModel { .. } => Facts::client(status, "model_not_found"),
        BuyingError::EscrowTooLarge { .. } => Facts::client(status, "escrow_too_large"),
        BuyingError::BadRequest { .. } => Facts { code: None, ..Facts::client(status, "") },
        BuyingError::Refused { refusal } => refusal_facts(status, refusal),
        BuyingError::OutOfFunds { .. } | BuyingError::DayLimit { .. } => Facts::quota(status),
        // Prices change with the market, not within an app's patience.
        BuyingError::AbovePriceCap { .. } => Facts::server(status, "above_price_cap").final_word(),
        BuyingError::AllBusy { retry_after_s, .. } => {
            Facts::server(status, "all_providers_busy").retry_after(*retry_after_s)
        }
        BuyingError::Unavailable { .. } => Facts::server(status, "unavailable").retry_after(5),
        BuyingError::ProvidersFailed { .. } => Facts::server(status, "providers_failed"),
        // The app waited as long as a request may take; the same again would wait as long and pay again.
        BuyingError::TimedOut { .. } => Facts::server(status, "timeout").final_word(),
        BuyingError::Transport { cause } => transport_facts(cause),
    }
}

/// The field that an error of the buying side is about.
fn buying_param(error: &BuyingError) -> Option<&str> {
    match error {
        BuyingError::BadRequest { param, .. } => param.as_deref(),
        BuyingError::Refused { refusal } => refusal.param.as_deref().map(short),
        BuyingError::UnknownModel { .. } | BuyingError::AbovePriceCap { .. } => Some("model"),
        // The prompt alone is too long: the answer was cut to what is left before.
        BuyingError::EscrowTooLarge { .. } => Some("messages"),
        _ => None,
    }
}

/// A backend's no, as the app would have it from the backend itself.
fn refusal_facts(status: u16, refusal: &Refusal) -> Facts<'_> {
    let kind = match status {
        429 => "rate_limit_error",
        502 | 503 => "server_error",
        _ => "invalid_request_error",
    };
    let retry_after_s = refusal.retry_after.map(|seconds| seconds.min(LONGEST_RETRY_AFTER_S));
    Facts {
        status,
        kind: refusal.kind.as_deref().filter(|kind| !kind.is_empty()).map_or(kind, short),
        code: refusal.code.as_deref().filter(|code| !code.is_empty()).map(short),
        // Without a word of when, apps that try again do so at once.
        retry_after_s: retry_after_s.or(matches!(status, 429 | 503).then_some(RETRY_AFTER_S)),
        worth_retrying: true,
    }
}

/// A stranger's name for something, cut to the length of a name.
fn short(text: &str) -> &str {
    let end = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let end = end.take_while(|end| *end <= MAX_NAME_BYTES).last().unwrap_or_default();
    &text[..end]
}

/// A call between the gateway's own services failed. Their 400 and 401 are not about the app's request or its key.
fn transport_facts(cause: &TransportError) -> Facts<'static> {
    match cause {
        TransportError::Busy { retry_after_s, .. } => {
            Facts::server(cause.status(), "overloaded").retry_after(*retry_after_s)
        }
        TransportError::Starting { retry_after_s, .. } => {
            Facts::server(cause.status(), "not_ready").retry_after(*retry_after_s)
        }
        TransportError::Unreachable { .. } => Facts::server(cause.status(), "unavailable"),
        TransportError::TimedOut { .. } => Facts::server(cause.status(), "timeout"),
        TransportError::Unauthorized { .. } | TransportError::Malformed { .. } => {
            Facts::server(500, "internal_error")
        }
    }
}

impl From<Rejection> for GatewayError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl ResponseError for GatewayError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.facts().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let facts = self.facts();
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = facts.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if !facts.worth_retrying {
            response.insert_header(("x-should-retry", "false"));
        }
        if let Self::WrongMethod { allowed, .. } = self {
            response.insert_header((ALLOW, *allowed));
        }
        self.with_body(|body| response.json(body))
    }
}

/// What to do about a model that can't be had; `nearest` are names like it.
pub(crate) fn hint(nearest: &[ModelId]) -> String {
    let names: Vec<_> = nearest.iter().map(ModelId::as_str).collect();
    match names.as_slice() {
        [] => "GET /v1/models lists what is on offer".to_owned(),
        names => format!("did you mean {}?", names.join(" or ")),
    }
}
