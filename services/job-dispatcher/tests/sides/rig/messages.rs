//! Every message and payload that the rig makes or reads: what changes when their types do is in this file alone.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use t4t_api::inference_runner::{RunInference, RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::{BuyAnswer, BuyingProgress};
use t4t_api::settlement::SignEnvelope;
use t4t_crypto::{SealingKey, WalletKey, random_bytes, seal};
use t4t_inference::{Chunk, End, InferenceRequest, Kind, Piece, Refusal};
use t4t_json::JsonText;
use t4t_protocol::{MessageKind, RequestPayload, ResponsePayload, UnsignedEnvelope, V1};
use t4t_types::{
    Address, EncryptionKey, ModelId, RequestId, RoutingId, TokenPrices, TokenUsage, UnixSeconds, keccak256,
};

/// The model on sale.
pub(crate) const MODEL: &str = "echo";

/// What every answer takes.
pub(crate) const USAGE: TokenUsage = TokenUsage { prompt: 9, completion: 5 };

pub(crate) fn model() -> ModelId {
    MODEL.parse().unwrap()
}

fn raw(value: &Value) -> JsonText {
    RawValue::from_string(value.to_string()).unwrap().into()
}

/// An app's request.
pub(crate) fn chat(text: &str) -> Value {
    json!({ "model": MODEL, "max_tokens": 20, "messages": [{ "role": "user", "content": text }] })
}

/// A purchase; what makes it the same one is its text.
pub(crate) fn purchase(text: &str) -> BuyAnswer {
    purchase_of(text, &chat(text))
}

pub(crate) fn purchase_of(name: &str, request: &Value) -> BuyAnswer {
    BuyAnswer { id: request_id(name), model: model(), request: read(request) }
}

fn read(request: &Value) -> InferenceRequest {
    InferenceRequest::read(Kind::Chat, request.to_string().into()).unwrap()
}

pub(crate) fn request_id(name: &str) -> RequestId {
    RequestId::new(keccak256(name))
}

/// What a step of a purchase says to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Step(String),
    Answer(String),
}

pub(crate) fn said(step: &BuyingProgress) -> Said {
    match step {
        BuyingProgress::Waiting { busy } => Said::Step(format!("waiting for one of {busy}")),
        BuyingProgress::Selected { provider, .. } => Said::Step(format!("selected {provider}")),
        BuyingProgress::Posted { .. } => Said::Step("posted".into()),
        BuyingProgress::Acked => Said::Step("acked".into()),
        BuyingProgress::Retrying { reason, .. } => Said::Step(format!("retrying: {reason}")),
        BuyingProgress::Piece(Piece::End(end)) => Said::Answer(text_of(end.whole.as_ref().unwrap())),
        BuyingProgress::Piece(Piece::Chunk(_)) => Said::Step("a chunk".into()),
        BuyingProgress::Bought(_) => Said::Step("bought".into()),
    }
}

fn text_of(response: &JsonText) -> String {
    let response: Value = serde_json::from_str(response.as_str()).unwrap();
    response["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}

/// A whole answer that says `text`.
pub(crate) fn answer(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": USAGE.prompt, "completion_tokens": USAGE.completion,
                   "total_tokens": USAGE.prompt + USAGE.completion },
    })
}

/// What a provider seals where it has no answer.
pub(crate) fn refusal(refusal: &Refusal) -> Value {
    json!({ "error": refusal })
}

/// A request as a client seals it.
pub(crate) fn sealed_request(
    to: &EncryptionKey,
    (client, client_key): (Address, EncryptionKey),
    model_id: ModelId,
    request: &Value,
    now: UnixSeconds,
) -> Vec<u8> {
    let payload = RequestPayload {
        v: V1,
        job_id: random_bytes().unwrap(),
        client,
        model_id,
        openai_request: raw(request),
        client_key,
        ts: now,
    };
    seal(to, &payload.to_json()).unwrap()
}

/// The request that a provider opens.
pub(crate) fn open_request(key: &SealingKey, sealed: &[u8]) -> RequestPayload {
    RequestPayload::parse(Bytes::from_owner(key.open(sealed).unwrap())).unwrap()
}

pub(crate) fn text_asked(request: &RequestPayload) -> String {
    user_text(&request.openai_request)
}

fn user_text(request: &JsonText) -> String {
    let request: Value = serde_json::from_str(request.as_str()).unwrap();
    request["messages"][0]["content"].as_str().unwrap_or_default().to_owned()
}

/// An answer as a provider seals it.
pub(crate) fn sealed_answer(
    to: &EncryptionKey,
    (job_id, provider): (RoutingId, Address),
    response: &Value,
    now: UnixSeconds,
) -> Vec<u8> {
    let payload = ResponsePayload { v: V1, job_id, provider, openai_response: raw(response), ts: now };
    seal(to, &payload.to_json()).unwrap()
}

/// What is sealed to a client, opened.
pub(crate) fn open_answer(key: &SealingKey, sealed: &[u8]) -> Value {
    let payload = ResponsePayload::parse(Bytes::from_owner(key.open(sealed).unwrap())).unwrap();
    serde_json::from_str(payload.openai_response.as_str()).unwrap()
}

/// A signed message.
pub(crate) fn signed(key: &WalletKey, call: &SignEnvelope, now: UnixSeconds) -> String {
    let nonce = random_bytes::<16>().unwrap();
    let unsigned = UnsignedEnvelope::of(&call.message, key.address(), call.to, now, nonce).unwrap();
    let signature = key.sign_message(unsigned.signing_text().as_bytes());
    String::from_utf8(unsigned.with_signature(signature)).unwrap()
}

pub(crate) fn envelope(
    key: &WalletKey,
    kind: MessageKind,
    to: Address,
    body: &impl serde::Serialize,
    now: UnixSeconds,
) -> String {
    let nonce = random_bytes::<16>().unwrap();
    let unsigned = UnsignedEnvelope::new(kind, key.address(), to, now, nonce, body).unwrap();
    let signature = key.sign_message(unsigned.signing_text().as_bytes());
    String::from_utf8(unsigned.with_signature(signature)).unwrap()
}

/// What a runner says of itself.
pub(crate) fn runner_status(slots: u32, busy: u32, prices: TokenPrices, away: bool) -> RunnerStatus {
    let model = RunnerModel { model: model(), prices: Some(prices), max_context_tokens: None, away };
    RunnerStatus { slots, busy, models: vec![model] }
}

/// The text that a runner is asked.
pub(crate) fn text_run(call: &RunInference) -> String {
    user_text(call.request.json())
}

/// The end of a run that says `text`.
pub(crate) fn finished(text: &str) -> Piece {
    Piece::End(End { whole: Some(raw(&answer(text))), usage: USAGE })
}

/// A piece of a run.
pub(crate) fn piece(text: &str) -> Piece {
    let chunk = json!({ "object": "chat.completion.chunk", "choices": [{ "delta": { "content": text } }] });
    Piece::Chunk(Chunk { json: raw(&chunk), counted: 1 })
}
