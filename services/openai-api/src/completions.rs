//! `POST /v1/chat/completions`.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::Version;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::value::RawValue;
use t4t_api::job_dispatcher::{BuyAnswer, BuyingError};
use t4t_types::RequestId;

use crate::body::{self, ReadBody};
use crate::config::ProgressMode;
use crate::error::GatewayError;
use crate::idempotency;
use crate::joining::{self, Question, Waiting};
use crate::purchase::{Answered, Kept, Purchase, Terms};
use crate::state::Edge;
use crate::streaming::{self, Reading, Stream, WRITE_BYTES};
use crate::transcript::Transcript;
use crate::wire::answer::{Answer, UnusableAnswer};
use crate::wire::chunk::ChunkHead;
use crate::wire::error::Rejection;
use crate::wire::mend::{Asked, mended};
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
    let ReadBody { request, hash, held } = body::read(&edge, &http, payload).await?;
    if !edge.config.allows(&request.model) {
        return Err(edge.catalogue.absence(&edge, request.model.as_str()).await);
    }
    if request.stream && !edge.config.streaming {
        return Err(
            Rejection::invalid_value("stream", "this gateway does not stream (T4T_FAKE_STREAMING)").into()
        );
    }
    let (id, waiting) = match key {
        // The app says itself what is the same request.
        Some(key) => (edge.idempotency.id(key, hash)?, None),
        None => {
            let question = Question::of(http.headers(), hash);
            let waiting = edge.joining.begin(question, joining::is_retry(http.headers())).await?;
            (waiting.id, Some(waiting))
        }
    };
    tracing::info!(request = %id, model = %request.model, "an app asks");
    let terms = Terms {
        buying: Arc::clone(&edge.buying),
        clock: Arc::clone(&edge.clock),
        max_wait: edge.config.max_wait,
        slot: edge.limits.slot()?,
        held,
    };
    let app = App { id, waiting, takes_chunks: http.version() > Version::HTTP_10 };
    match answer(&edge, app, request, terms).await {
        Err(GatewayError::Buying(BuyingError::UnknownModel { model })) => {
            Err(edge.catalogue.absence(&edge, model.as_str()).await)
        }
        answer => answer,
    }
}

/// An app that asks.
struct App {
    id: RequestId,
    /// What is left behind if the app goes away; `None` where the app names its request itself.
    waiting: Option<Waiting>,
    /// Whether its HTTP knows chunks.
    takes_chunks: bool,
}

async fn answer(
    edge: &Edge,
    app: App,
    request: ChatRequest,
    terms: Terms,
) -> Result<HttpResponse, GatewayError> {
    let App { id, waiting, takes_chunks } = app;
    let ChatRequest { model, stream, include_usage, structured, has_tools, call_ids, request } = request;
    let asked = Asked { request: id, has_tools, call_ids };
    let call = BuyAnswer { id, model: model.clone(), request };
    let begun = async {
        let mut purchase = Purchase::begin(terms, call).await?;
        if stream {
            purchase.settle_in(edge.config.keep_alive).await?;
            let early = match purchase.settled() {
                Some(answer) => Reading::Done(Box::new(streaming::read(answer, asked)?)),
                None => Reading::Asked(asked),
            };
            return Ok(Begun::Stream(purchase, early));
        }
        let (answer, kept) = purchase.answer().await?;
        Ok(Begun::Whole(mend(answer, asked)?, kept))
    };
    let begun = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            if let Some(waiting) = waiting {
                waiting.failed(&error);
            }
            return Err(error);
        }
    };
    let (purchase, early) = match begun {
        Begun::Whole(answer, kept) => return Ok(whole(id, answer, kept, waiting)),
        Begun::Stream(purchase, early) => (purchase, early),
    };
    let completion = format!("chatcmpl-{}", &id.to_string()[..32]);
    let head = ChunkHead { id: completion, created: edge.clock.now(), model, include_usage };
    let mode = if structured { ProgressMode::Off } else { edge.config.progress };
    let transcript = Transcript::new(head, mode);
    let clock = Arc::clone(&edge.clock);
    let stream = Stream { purchase, reading: early, transcript, waiting };
    let events = t4t_api::carried(streaming::events(stream, clock, edge.config.keep_alive));
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .insert_header((REQUEST, id.to_string()));
    if takes_chunks {
        return Ok(response.streaming(events));
    }
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
    let mut response = response.force_close().streaming(events);
    response.head_mut().no_chunking(true);
    Ok(response)
}

/// A purchase that came as far as it can before the app is answered.
enum Begun {
    Whole(Answered, Kept),
    Stream(Purchase, Reading),
}

/// The answer as an app can be given it, once it is known to be one.
fn mend(mut answer: Answered, asked: Asked) -> Result<Answered, GatewayError> {
    let mended = mended(answer.whole.as_str(), asked)?;
    Answer::parse(&mended)?;
    if let Cow::Owned(mended) = mended {
        answer.whole = RawValue::from_string(mended).map_err(UnusableAnswer::from)?.into();
    }
    Ok(answer)
}

/// The provider's answer as it came.
fn whole(id: RequestId, answer: Answered, kept: Kept, waiting: Option<Waiting>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((REQUEST, id.to_string()))
        .insert_header(("x-t4t-provider", answer.bought.provider.to_string()))
        .insert_header(("x-t4t-cost-plur", answer.bought.cost.plur().to_string()))
        .insert_header(("x-t4t-attempts", answer.bought.attempts.to_string()));
    if let Some(job) = answer.bought.job {
        response.insert_header(("x-t4t-job", job.to_string()));
    }
    response.body(in_pieces(answer.whole.bytes().clone(), kept, waiting))
}

/// A body that goes out piece by piece, so that whoever reads slowly holds what is accounted for and no copy of it.
fn in_pieces(
    whole: Bytes,
    kept: Kept,
    waiting: Option<Waiting>,
) -> SizedStream<impl futures_util::Stream<Item = Result<Bytes, Infallible>>> {
    let length = whole.len() as u64;
    let pieces = async_stream::stream! {
        let _kept = kept;
        let mut rest = whole;
        while !rest.is_empty() {
            yield Ok(rest.split_to(rest.len().min(WRITE_BYTES)));
        }
        if let Some(waiting) = waiting {
            waiting.done();
        }
    };
    SizedStream::new(length, Box::pin(pieces))
}
