//! `POST /v1/chat/completions`.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::Stream;
use t4t_api::job_dispatcher::{BoughtAnswer, BuyCompletion, BuyingError};
use t4t_types::RequestId;

use crate::body::{self, ReadBody};
use crate::config::ProgressMode;
use crate::error::GatewayError;
use crate::idempotency;
use crate::purchase::{Kept, Purchase, Terms};
use crate::state::Edge;
use crate::streaming::{self, WRITE_BYTES};
use crate::transcript::Transcript;
use crate::wire::answer::Answer;
use crate::wire::chunk::ChunkHead;
use crate::wire::error::Rejection;
use crate::wire::request::ChatRequest;

/// The header with the id by which `t4t jobs show` knows the request.
const REQUEST: &str = "x-t4t-request";

/// Answers a chat completion, whole or as a stream.
pub(crate) async fn create(
    edge: web::Data<Edge>,
    http: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, GatewayError> {
    edge.limits.check()?;
    let key = idempotency::key(http.headers())?;
    let ReadBody { request, hash, held } = body::read(&edge, &http, payload, key.is_some()).await?;
    if !edge.config.allows(&request.model) {
        return Err(unknown(&edge, request.model.as_str()).await);
    }
    if request.stream && !edge.config.streaming {
        return Err(
            Rejection::invalid_value("stream", "this gateway does not stream (T4T_FAKE_STREAMING)").into()
        );
    }
    let id = match (key, hash) {
        (Some(key), Some(hash)) => edge.idempotency.id(key, hash)?,
        _ => idempotency::random_id()?,
    };
    tracing::info!(request = %id, model = %request.model, "an app asks");
    let terms = Terms {
        buying: Arc::clone(&edge.buying),
        clock: Arc::clone(&edge.clock),
        max_wait: edge.config.max_wait,
        slot: edge.limits.slot()?,
        held,
    };
    match answer(&edge, id, request, terms).await {
        Err(GatewayError::Buying(BuyingError::UnknownModel { model })) => {
            Err(unknown(&edge, model.as_str()).await)
        }
        answer => answer,
    }
}

async fn unknown(edge: &Edge, model: &str) -> GatewayError {
    GatewayError::unknown_model(model, &edge.catalogue.nearest(edge, model).await)
}

async fn answer(
    edge: &Edge,
    id: RequestId,
    request: ChatRequest,
    terms: Terms,
) -> Result<HttpResponse, GatewayError> {
    let ChatRequest { model, stream, include_usage, structured, raw } = request;
    let mut purchase =
        Purchase::begin(terms, BuyCompletion { id, model: model.clone(), request: raw }).await?;
    if !stream {
        return whole(id, purchase.answer().await?);
    }
    purchase.settle_in(edge.config.keep_alive).await?;
    let completion = format!("chatcmpl-{}", &id.to_string()[..32]);
    let head = ChunkHead { id: completion, created: edge.clock.now(), model, include_usage };
    let mode = if structured { ProgressMode::Off } else { edge.config.progress };
    let transcript = Transcript::new(head, mode);
    let clock = Arc::clone(&edge.clock);
    let events = streaming::events(purchase, transcript, clock, edge.config.keep_alive);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .insert_header((REQUEST, id.to_string()))
        .streaming(events))
}

/// The provider's answer as it came, once it is known to be one.
fn whole(id: RequestId, (answer, kept): (BoughtAnswer, Kept)) -> Result<HttpResponse, GatewayError> {
    Answer::parse(answer.response.get())?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((REQUEST, id.to_string()))
        .insert_header(("x-t4t-provider", answer.provider.to_string()))
        .insert_header(("x-t4t-cost-plur", answer.cost.plur().to_string()))
        .insert_header(("x-t4t-attempts", answer.attempts.to_string()));
    if let Some(job) = answer.job {
        response.insert_header(("x-t4t-job", job.to_string()));
    }
    let json: Box<str> = answer.response.into();
    Ok(response.body(in_pieces(String::from(json).into(), kept)))
}

/// A body that goes out piece by piece, so that whoever reads slowly holds what is accounted for and no copy of it.
fn in_pieces(whole: Bytes, kept: Kept) -> SizedStream<impl Stream<Item = Result<Bytes, Infallible>>> {
    let length = whole.len() as u64;
    let pieces = async_stream::stream! {
        let _kept = kept;
        let mut rest = whole;
        while !rest.is_empty() {
            yield Ok(rest.split_to(rest.len().min(WRITE_BYTES)));
        }
    };
    SizedStream::new(length, Box::pin(pieces))
}
