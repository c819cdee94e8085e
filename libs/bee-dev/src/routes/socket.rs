//! Subscriptions over WebSocket, with the real node's manners: pings of its own, no answer to anybody else's.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{Closed, Message, MessageStream, Session};
use bytes::Bytes;
use t4t_clock::timeout;
use tokio::sync::mpsc;

use super::Api;
use crate::network::messages::Interest;

/// A subscriber that takes a frame no sooner is given up.
const WRITE_LIMIT: Duration = Duration::from_secs(4);

/// Turns the request into a subscription.
pub(super) fn subscribe(
    api: &Api,
    interest: Interest,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let (response, session, incoming) = actix_ws::handle(request, body)?;
    let frames = api.node().subscribers.add(interest);
    let pump = Pump { api: api.clone(), session, incoming, frames };
    actix_web::rt::spawn(pump.run());
    Ok(response)
}

struct Pump {
    api: Api,
    session: Session,
    incoming: MessageStream,
    frames: mpsc::Receiver<Bytes>,
}

impl Pump {
    async fn run(mut self) {
        let clock = self.api.network.config.clock.clone();
        let ping_period = self.api.network.config.ping_period;
        let mut cuts = self.api.network.faults.cuts();
        let mut ping = clock.sleep(ping_period);
        loop {
            let written = tokio::select! {
                frame = self.frames.recv() => match frame {
                    Some(frame) => self.write(Some(frame)).await,
                    None => return,
                },
                () = &mut ping => {
                    ping = clock.sleep(ping_period);
                    self.write(None).await
                }
                message = self.incoming.recv() => match message {
                    // Read only to notice that the other side is gone; nothing is answered.
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => Ok(()),
                },
                _ = cuts.changed() => return,
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// Writes a frame, or a ping if there is none.
    async fn write(&mut self, frame: Option<Bytes>) -> Result<(), Closed> {
        if self.api.network.faults.get().silent_sockets {
            return Ok(());
        }
        let frozen = Duration::from_millis(self.api.network.faults.frozen_ms(self.api.index));
        if !frozen.is_zero() {
            self.api.network.config.clock.sleep(frozen).await;
        }
        let session = &mut self.session;
        let writing = async {
            match frame {
                Some(frame) => session.binary(frame).await,
                None => session.ping(b"").await,
            }
        };
        timeout(&*self.api.network.config.clock, WRITE_LIMIT, writing).await.unwrap_or(Err(Closed))
    }
}
