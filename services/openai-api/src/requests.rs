//! One request, from its body to its answer, in whatever dialect it is asked.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::http::{StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use t4t_api::job_dispatcher::{Bought, BuyAnswer, BuyingError};
use t4t_json::JsonText;
use t4t_panics::contain;
use t4t_types::RequestId;

use crate::body::{self, ReadBody};
use crate::dialects::{Asked, Begun, Dialect};
use crate::error::GatewayError;
use crate::idempotency;
use crate::joining::{self, Question, Waiting};
use crate::purchase::{Kept, Purchase, Terms};
use crate::state::Edge;
use crate::streaming::{self, Stream, WRITE_BYTES};
use crate::wire::error::Rejection;

/// The header with the id by which `t4t jobs show` knows the request.
const REQUEST: &str = "x-t4t-request";

/// An error in its dialect's shape.
pub(crate) struct Told {
    error: GatewayError,
    dialect: &'static dyn Dialect,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Told {
    fn status_code(&self) -> StatusCode {
        self.error.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        self.error.response(|body| self.dialect.error(body))
    }
}

/// Answers a request, whole or as a stream. A panic on the way is this request's error.
pub(crate) async fn create(
    dialect: &'static dyn Dialect,
    edge: web::Data<Edge>,
    http: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Told> {
    let answered = contain(serve(dialect, &edge, &http, payload)).await;
    answered.map_err(GatewayError::from).flatten().map_err(|error| Told { error, dialect })
}

async fn serve(
    dialect: &'static dyn Dialect,
    edge: &Edge,
    http: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, GatewayError> {
    edge.limits.check()?;
    let key = idempotency::key(http.headers())?;
    let ReadBody { asked, hash, held } = body::read(edge, dialect, http, payload).await?;
    if !edge.catalogue.allows(&asked.model) {
        return Err(edge.catalogue.absence(asked.model.as_str()).await);
    }
    if asked.stream && !edge.config.streaming {
        return Err(
            Rejection::invalid_value("stream", "this gateway does not stream (T4T_FAKE_STREAMING)").into()
        );
    }
    // First the slot: whoever gets none is told at once, and leaves nothing behind that another could join.
    let slot = edge.limits.slot()?;
    let (id, waiting) = match key {
        // The app says itself what is the same request.
        Some(key) => (edge.idempotency.id(key, hash)?, None),
        None => {
            let question = Question::of(http.headers(), hash);
            let waiting = edge.joining.begin(question, joining::is_retry(http.headers())).await?;
            (waiting.id, Some(waiting))
        }
    };
    tracing::info!(request = %id, model = %asked.model, "an app asks");
    let (buying, clock) = (Arc::clone(&edge.buying), Arc::clone(&edge.clock));
    let terms = Terms { buying, clock, max_wait: edge.config.max_wait, slot, held };
    let app = App { id, waiting, takes_chunks: http.version() > Version::HTTP_10 };
    match answer(edge, app, asked, terms).await {
        Err(GatewayError::Buying(BuyingError::UnknownModel { model })) => {
            Err(edge.catalogue.absence(model.as_str()).await)
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

async fn answer(edge: &Edge, app: App, asked: Asked, terms: Terms) -> Result<HttpResponse, GatewayError> {
    let App { id, waiting, takes_chunks } = app;
    let Asked { model, stream, request, answering } = asked;
    let begun = Begun { id, model: model.clone(), at: edge.clock.now(), progress: edge.config.progress };
    let call = BuyAnswer { id, model, request };
    let answered = async {
        let mut purchase = Purchase::begin(terms, call).await?;
        if !stream {
            let (answer, bought, kept) = purchase.answer().await?;
            return Ok(Answered::Whole(answering.whole(begun, answer)?, bought, kept));
        }
        let mut events = answering.stream(begun);
        purchase.settle_in(edge.config.keep_alive).await?;
        let early = purchase.settled().and_then(|answer| answer.whole.clone());
        if let Some(whole) = &early {
            events.take(whole)?;
        }
        Ok(Answered::Stream(Box::new(Stream { purchase, events, is_read: early.is_some(), waiting: None })))
    };
    match answered.await {
        Ok(Answered::Whole(answer, bought, kept)) => Ok(whole(id, answer, &bought, kept, waiting)),
        Ok(Answered::Stream(stream)) => {
            let stream = Stream { waiting, ..*stream };
            Ok(streamed(edge, id, stream, takes_chunks))
        }
        Err(error) => {
            if let Some(waiting) = waiting {
                waiting.failed(&error);
            }
            Err(error)
        }
    }
}

/// A purchase that came as far as it can before the app is answered.
enum Answered {
    Whole(JsonText, Bought, Kept),
    Stream(Box<Stream>),
}

fn streamed(edge: &Edge, id: RequestId, stream: Stream, takes_chunks: bool) -> HttpResponse {
    let events = streaming::events(stream, Arc::clone(&edge.clock), edge.config.keep_alive);
    let events = t4t_api::carried(events);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .insert_header((REQUEST, id.to_string()));
    if takes_chunks {
        return response.streaming(events);
    }
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
    let mut response = response.force_close().streaming(events);
    response.head_mut().no_chunking(true);
    response
}

/// A whole answer.
fn whole(
    id: RequestId,
    answer: JsonText,
    bought: &Bought,
    kept: Kept,
    waiting: Option<Waiting>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((REQUEST, id.to_string()))
        .insert_header(("x-t4t-provider", bought.provider.to_string()))
        .insert_header(("x-t4t-cost-plur", bought.cost.plur().to_string()))
        .insert_header(("x-t4t-attempts", bought.attempts.to_string()));
    if let Some(job) = bought.job {
        response.insert_header(("x-t4t-job", job.to_string()));
    }
    response.body(in_pieces(answer.bytes().clone(), kept, waiting))
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
