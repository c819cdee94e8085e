//! What apps are told of an error besides its text: status, type, code, and when to try again.

use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::WatcherError;
use t4t_api::{ServiceError, TransportError};
use t4t_inference::Refusal;

/// When to try again where a backend that is busy does not say, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// The longest time after which an app is told to try again: official clients do not wait longer than two minutes.
const LONGEST_RETRY_AFTER_S: u64 = 3600;

/// The longest name that is taken over from a backend, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// What an error says besides its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) status: u16,
    pub(crate) kind: &'a str,
    pub(crate) code: Option<&'a str>,
    pub(crate) retry_after_s: Option<u64>,
    /// Official clients try 409 and everything from 500 on again by themselves.
    pub(crate) worth_retrying: bool,
}

impl<'a> Facts<'a> {
    pub(crate) const fn client(status: u16, code: &'a str) -> Self {
        let kind = "invalid_request_error";
        Self { status, kind, code: Some(code), retry_after_s: None, worth_retrying: true }
    }

    pub(crate) const fn server(status: u16, code: &'a str) -> Self {
        Self { status, kind: "server_error", code: Some(code), retry_after_s: None, worth_retrying: true }
    }

    /// Somebody has to pay, or to allow more: asking again changes nothing.
    pub(crate) const fn quota(status: u16) -> Self {
        let kind = "insufficient_quota";
        Self { status, kind, code: Some(kind), retry_after_s: None, worth_retrying: false }
    }

    pub(crate) const fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(crate) const fn final_word(self) -> Self {
        Self { worth_retrying: false, ..self }
    }
}

/// What an error of the watcher comes to.
pub(crate) fn watcher_facts(error: &WatcherError) -> Facts<'static> {
    match error {
        WatcherError::Transport { cause } => transport_facts(cause),
        WatcherError::NotReady => Facts::server(error.status(), "not_ready").retry_after(1),
        _ => Facts::server(error.status(), "registry_unavailable"),
    }
}

/// What an error of the buying side comes to; the status is the one it names.
pub(crate) fn buying_facts(error: &BuyingError) -> Facts<'_> {
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
pub(crate) fn buying_param(error: &BuyingError) -> Option<&str> {
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
