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
use t4t_panics::Panicked;
use t4t_types::ModelId;

use crate::facts::{Facts, buying_facts, buying_param, watcher_facts};
use crate::unusable::UnusableAnswer;
use crate::wire::error::{ErrorBody, ErrorDetail, Rejection};

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
    #[error(transparent)]
    Panicked(#[from] Panicked),
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
            // The same again would do the same again.
            Self::Panicked(_) => Facts::server(500, "internal_error").final_word(),
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
        self.response(|body| serde_json::to_vec(body).expect("an error is texts"))
    }
}

impl GatewayError {
    /// The answer that tells the app, with the body that `write` gives.
    pub(crate) fn response(&self, write: impl FnOnce(&ErrorBody<'_>) -> Vec<u8>) -> HttpResponse {
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
        let body = self.with_body(write);
        response.content_type("application/json").body(body)
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
