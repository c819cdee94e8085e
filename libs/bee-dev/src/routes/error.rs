//! Errors in the real node's one JSON shape.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::network::batches::StampError;

/// An answer that is not what was hoped for.
#[derive(Debug, Serialize)]
pub(super) struct ApiError {
    code: u16,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    field: &'static str,
    error: String,
}

impl ApiError {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reasons: Vec::new() }
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(400, message)
    }

    pub(super) fn not_found(message: &str) -> Self {
        Self::new(404, message)
    }

    /// A parameter that can't be read; `kind` is path, query or header.
    pub(super) fn invalid(kind: &str, field: &'static str, error: impl Into<String>) -> Self {
        let reasons = vec![Reason { field, error: error.into() }];
        Self { code: 400, message: format!("invalid {kind} params"), reasons }
    }

    /// What an upload answers when its batch does not pay.
    pub(super) fn from_upload(error: StampError) -> Self {
        match error {
            StampError::NotFound => Self::not_found("batch with id not found"),
            StampError::NotUsable => Self::new(422, "batch not usable yet or does not exist"),
            StampError::Full => Self::new(402, "batch is overissued"),
        }
    }

    /// What `/pss/send` answers in the same case.
    pub(super) fn from_message(error: StampError) -> Self {
        match error {
            StampError::NotFound => Self::bad_request("batch not found"),
            StampError::NotUsable => Self::bad_request("batch not usable yet"),
            StampError::Full => Self::new(402, "batch is overissued"),
        }
    }

    /// A fault that somebody asked for.
    pub(super) fn injected(status: u16) -> Self {
        let message = match status {
            402 => "batch is overissued",
            404 => "Not Found",
            422 => "batch not usable yet or does not exist",
            503 => "Node is syncing. This endpoint is unavailable. Try again later.",
            _ => "injected fault",
        };
        Self::new(if (400..600).contains(&status) { status } else { 500 }, message)
    }

    pub(super) fn response(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        HttpResponse::build(status).content_type("application/json; charset=utf-8").json(self)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl ResponseError for ApiError {
    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}
