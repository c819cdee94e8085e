//! Sends a purchase as server-sent events while it runs.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use t4t_api::job_dispatcher::{BoughtAnswer, BuyingProgress};
use t4t_clock::{SharedClock, timeout};

use crate::error::GatewayError;
use crate::purchase::Purchase;
use crate::transcript::Transcript;
use crate::wire::answer::Answer;
use crate::wire::chunk::KEEP_ALIVE;

/// Chunks that are ready together are written together, up to about this many bytes.
pub(crate) const WRITE_BYTES: usize = 16 << 10;

/// The events of a purchase. Nothing is asked of the purchase before the client has taken what came before.
pub(crate) fn events(
    mut purchase: Purchase,
    mut transcript: Transcript,
    clock: SharedClock,
    keep_alive: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        yield Ok(transcript.opening());
        let mut length = 0;
        let answered = loop {
            match timeout(&*clock, keep_alive, purchase.next()).await {
                Err(_) => yield Ok(KEEP_ALIVE),
                Ok(Ok(BuyingProgress::Answered(answer))) => {
                    length = answer.response.get().len();
                    break read(&answer);
                }
                Ok(Ok(step)) => {
                    if let Some(shown) = transcript.progress(&step) {
                        yield Ok(shown);
                    }
                }
                Ok(Err(error)) => break Err(error),
            }
        };
        // Whoever takes the answer slowly keeps nobody from buying.
        let _kept = purchase.release(length);
        match answered {
            Ok(mut answer) => {
                let mut write = Vec::new();
                for chunk in transcript.answer(&mut answer) {
                    write.extend(chunk);
                    if write.len() >= WRITE_BYTES {
                        yield Ok(std::mem::take(&mut write).into());
                    }
                }
                yield Ok(write.into());
            }
            Err(error) => {
                tracing::warn!(%error, "a stream broke off");
                yield Ok(Transcript::error(&error));
            }
        }
    }
}

fn read(answer: &BoughtAnswer) -> Result<Answer, GatewayError> {
    Ok(Answer::parse(answer.response.get())?)
}
