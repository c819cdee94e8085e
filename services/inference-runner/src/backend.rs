//! One backend over HTTP: its list of models, its answers, and what its refusals mean.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use t4t_api::inference_runner::RunnerError;
use url::Url;

use crate::catalogue::ListedModel;
use crate::chunk::message_of;
use crate::endpoints::Endpoint;
use crate::error::StartError;

/// The longest list of models taken, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Models taken from one list.
const MAX_MODELS: usize = 1000;
/// The longest refusal read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// How long an unused connection is kept; a backend that was restarted meanwhile would break it.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// Why a backend did not answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request is wrong, in the backend's words.
    Request {
        /// The backend's status.
        status: u16,
        /// Its message.
        message: String,
        /// Its whole body, if that is JSON.
        body: Option<String>,
    },
    /// The backend is.
    Backend(String),
}

impl From<Refusal> for RunnerError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Request { status, message, body } => Self::BadRequest { status, message, body },
            Refusal::Backend(reason) => Self::Backend { reason },
        }
    }
}

/// A client for one backend.
#[derive(Debug)]
pub(crate) struct Backend {
    endpoint: Endpoint,
    http: reqwest::Client,
    models: Url,
    chat: Url,
}

impl Backend {
    /// A client that waits `connect` for a connection.
    pub(crate) fn new(endpoint: Endpoint, connect: Duration) -> Result<Self, StartError> {
        let client =
            t4t_outbound::toward(&endpoint.url).connect_timeout(connect).pool_idle_timeout(POOL_IDLE);
        let http = client.build().map_err(StartError::HttpClient)?;
        let address = || StartError::Address { endpoint: endpoint.name.clone() };
        let models = route(&endpoint.url, "models").ok_or_else(address)?;
        let chat = route(&endpoint.url, "chat/completions").ok_or_else(address)?;
        Ok(Self { endpoint, http, models, chat })
    }

    /// Whether it may fetch pictures and other media from where a request says they are.
    pub(crate) fn fetches_media(&self) -> bool {
        self.endpoint.fetches_media
    }

    /// The backend's name.
    pub(crate) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// The models it lists. The caller limits the time.
    pub(crate) async fn list(&self) -> Result<Vec<ListedModel>, Refusal> {
        let response = self.send(self.http.get(self.models.clone())).await?;
        let body = self.body(response, MAX_LIST_BYTES).await?;
        let list: Value = serde_json::from_slice(&body)
            .map_err(|_| Refusal::Backend(format!("endpoint {} lists its models in no JSON", self.name())))?;
        let models = list.get("data").or_else(|| list.get("models")).and_then(Value::as_array);
        let models = models.map_or(&[][..], Vec::as_slice);
        Ok(models.iter().filter_map(listed).take(MAX_MODELS).collect())
    }

    /// Asks for an answer; returns once the backend has begun. The caller limits the time.
    pub(crate) async fn complete(&self, body: Vec<u8>) -> Result<Response, Refusal> {
        let request = self.http.post(self.chat.clone()).header(CONTENT_TYPE, "application/json");
        self.send(request.header(ACCEPT, "text/event-stream, application/json").body(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Refusal> {
        let request = match &self.endpoint.api_key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// Reads the rest of an answer of at most `limit` bytes.
    pub(crate) async fn body(&self, response: Response, limit: usize) -> Result<Vec<u8>, Refusal> {
        let mut pieces = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.broken(&error))?;
            if body.len() + piece.len() > limit {
                let reason = format!("endpoint {} sent more than {limit} bytes", self.name());
                return Err(Refusal::Backend(reason));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What a broken connection means. The address stays in the operator's log.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Refusal {
        tracing::debug!(endpoint = self.name(), error = ?error, "a backend's connection failed");
        let what = match () {
            () if error.is_connect() => "can't be reached",
            () if error.is_timeout() => "did not answer in time",
            () => "broke the connection",
        };
        Refusal::Backend(format!("endpoint {} {what}", self.name()))
    }

    async fn refusal(&self, response: Response) -> Refusal {
        let status = response.status();
        let name = self.name();
        match status.as_u16() {
            401 | 403 => {
                return Refusal::Backend(format!(
                    "endpoint {name} refused the key with status {status}: check its apiKey"
                ));
            }
            300..=399 => {
                return Refusal::Backend(format!(
                    "endpoint {name} redirects, which is not followed: check its url"
                ));
            }
            _ => {}
        }
        let body = self.body(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
        let text = self.without_key(String::from_utf8_lossy(&body).trim());
        let json = serde_json::from_str::<Map<String, Value>>(&text).ok();
        let message = json.as_ref().and_then(message_of).unwrap_or_else(|| text.clone());
        let is_about_request = matches!(status.as_u16(), 400 | 404 | 413 | 415 | 422);
        if is_about_request && (json.is_some() || status != StatusCode::NOT_FOUND) {
            return Refusal::Request {
                status: status.as_u16(),
                message,
                body: json.is_some().then_some(text),
            };
        }
        let short: String = message.chars().take(300).collect();
        Refusal::Backend(format!("endpoint {name} answered with status {status}: {short}"))
    }

    /// The text without the backend's key, which some backends repeat.
    fn without_key(&self, text: &str) -> String {
        match &self.endpoint.api_key {
            Some(key) => text.replace(key.expose_secret(), "…"),
            None => text.to_owned(),
        }
    }
}

/// The address of a route below `/v1`, which the backend's address may hold already.
fn route(url: &Url, route: &str) -> Option<Url> {
    let mut address = url.clone();
    let is_versioned = url.path().trim_end_matches('/').ends_with("/v1");
    let mut path = address.path_segments_mut().ok()?;
    path.pop_if_empty();
    if !is_versioned {
        path.push("v1");
    }
    path.extend(route.split('/'));
    drop(path);
    Some(address)
}

fn listed(model: &Value) -> Option<ListedModel> {
    let id = model.get("id").or_else(|| model.get("model")).and_then(Value::as_str)?.parse().ok()?;
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|&tokens| tokens > 0);
    let meta = model.get("meta");
    let of_meta = |field: &str| number(meta.and_then(|meta| meta.get(field)));
    let direct = ["max_model_len", "context_length", "max_context_length", "context_window"];
    let max_context_tokens = direct.into_iter().find_map(|field| number(model.get(field)));
    // What the server was started with, before what the model was trained for.
    let max_context_tokens =
        max_context_tokens.or_else(|| of_meta("n_ctx")).or_else(|| of_meta("n_ctx_train"));
    Some(ListedModel { id, max_context_tokens })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_is_added_to_the_address_once() {
        let cases = [
            ("http://a", "http://a/v1/models"),
            ("http://a/", "http://a/v1/models"),
            ("http://a:1/v1", "http://a:1/v1/models"),
            ("http://a/v1/", "http://a/v1/models"),
            ("http://a/api", "http://a/api/v1/models"),
            ("https://a/openai/v1/", "https://a/openai/v1/models"),
        ];
        for (url, expected) in cases {
            assert_eq!(route(&url.parse().unwrap(), "models").unwrap().as_str(), expected);
        }
    }

    #[test]
    fn the_context_is_read_in_every_form_backends_tell_it() {
        let cases = [
            (json!({"id": "m"}), None),
            (json!({"id": "m", "max_model_len": 4096}), Some(4096)),
            (json!({"id": "m", "meta": {"n_ctx_train": 8192}}), Some(8192)),
            (json!({"id": "m", "meta": {"n_ctx_train": 8192, "n_ctx": 2048}}), Some(2048)),
            (json!({"id": "m", "context_length": "many"}), None),
            (json!({"id": "m", "max_model_len": 0}), None),
        ];
        for (model, expected) in cases {
            assert_eq!(listed(&model).unwrap().max_context_tokens, expected, "{model}");
        }
        for wrong in [json!({}), json!({"id": ""}), json!({"id": "a\nb"}), json!(7), json!({"id": 7})] {
            assert_eq!(listed(&wrong), None);
        }
    }
}
