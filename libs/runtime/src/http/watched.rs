//! Tells a connection what its requests do: when one begins, when its body is there, when its answer is given.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpResponse};
use futures_util::Stream;
use t4t_clock::{Clock, SystemClock};

use super::connections::Connection;

/// A request on its way, until this is dropped.
struct Turn(Arc<Connection>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ends();
    }
}

/// Watches a request that came over a connection which [`super::Connections`] took in; lets any other pass.
pub async fn watch(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(connection) = request.conn_data::<Arc<Connection>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let headers = request.headers();
    let has_body = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    let is_last = request.head().connection_type() == ConnectionType::Close;
    let may_begin = connection.begins(has_body, is_last);
    let turn = Turn(Arc::clone(&connection));
    if !may_begin {
        // The server itself would go on with whatever it read ahead.
        return Ok(request.into_response(HttpResponse::BadRequest().force_close().finish()));
    }
    if has_body {
        let limit = connection.body_time();
        let time = Box::pin(async move { SystemClock.sleep(limit).await });
        let body = Incoming { body: request.take_payload(), connection, time };
        request.set_payload(Payload::Stream { payload: Box::pin(body) });
    }
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(Outgoing { body: BoxBody::new(body), turn })))
}

/// A request's body as it comes, for as long as it may take.
struct Incoming {
    body: Payload,
    connection: Arc<Connection>,
    time: Pin<Box<dyn Future<Output = ()>>>,
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match pin!(&mut this.body).poll_next(cx) {
            Poll::Ready(None) => {
                this.connection.received();
                Poll::Ready(None)
            }
            Poll::Pending if this.time.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))))
            }
            polled => polled,
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.connection.received();
    }
}

/// An answer's body as it goes out.
struct Outgoing {
    body: BoxBody,
    turn: Turn,
}

impl MessageBody for Outgoing {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.turn.0.wants_more();
        let polled = Pin::new(&mut self.body).poll_next(cx);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.turn.0.writes(piece.len());
        }
        polled
    }
}
