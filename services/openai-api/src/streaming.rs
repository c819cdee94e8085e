//! Sends a purchase as server-sent events while it runs.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use t4t_clock::{SharedClock, timeout};
use t4t_panics::contain;

use crate::dialects::{Events, KEEP_ALIVE};
use crate::error::GatewayError;
use crate::joining::Waiting;
use crate::purchase::{Answered, Purchase, Step};

/// Chunks that are ready together are written together, up to about this many bytes.
pub(crate) const WRITE_BYTES: usize = 16 << 10;

/// One stream.
pub(crate) struct Stream {
    /// What is bought.
    pub(crate) purchase: Purchase,
    /// How it is said.
    pub(crate) events: Box<dyn Events>,
    /// Whether the answer was there before the stream began, and is read.
    pub(crate) is_read: bool,
    /// What the app leaves behind if it goes away before its answer.
    pub(crate) waiting: Option<Waiting>,
}

/// The events of a purchase. Nothing is asked of the purchase before the client has taken what came before. A panic on
/// the way ends this stream as any other failure does.
pub(crate) fn events(
    stream: Stream,
    clock: SharedClock,
    keep_alive: Duration,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let broken_off = |error: &GatewayError, stream: &dyn Events| error.with_body(|body| stream.error(body));
    async_stream::stream! {
        let Stream { mut purchase, mut events, is_read, mut waiting } = stream;
        yield Ok(events.opening());
        let answered = loop {
            let next = async {
                let step = purchase.next().await?;
                said(&mut *events, step, is_read)
            };
            match timeout(&*clock, keep_alive, contain(next)).await {
                Err(_) => yield Ok(KEEP_ALIVE),
                Ok(Ok(Ok(Said::End(answer)))) => break Ok(answer),
                Ok(Ok(Ok(Said::Progress(shown)))) => {
                    if !shown.is_empty() {
                        yield Ok(shown);
                    }
                }
                Ok(Ok(Ok(Said::Chunk(chunk)))) => {
                    if !chunk.is_empty() {
                        yield Ok(chunk);
                        // Part of the answer was taken: whoever asks again wants another one.
                        done(&mut waiting);
                    }
                }
                Ok(Ok(Err(error))) => break Err(error),
                Ok(Err(panicked)) => break Err(panicked.into()),
            }
        };
        match answered {
            Ok(answer) => {
                // Whoever takes the answer slowly keeps nobody from buying.
                let length = answer.whole.as_ref().map_or(0, |whole| whole.as_str().len());
                let _kept = purchase.release(length);
                let mut failed = None;
                {
                    let mut rest = std::pin::pin!(writes(events.rest(answer.usage)));
                    while let Some(write) = rest.next().await {
                        match write {
                            Ok(write) => yield Ok(write),
                            Err(error) => failed = Some(error),
                        }
                        done(&mut waiting);
                    }
                }
                if let Some(error) = failed {
                    yield Ok(broken_off(&error, &*events));
                }
                done(&mut waiting);
            }
            Err(error) => {
                drop(purchase);
                tracing::warn!(%error, "a stream broke off");
                if let Some(waiting) = waiting.take() {
                    waiting.failed(&error);
                }
                yield Ok(broken_off(&error, &*events));
            }
        }
    }
}

/// The app has its answer, or part of it.
fn done(waiting: &mut Option<Waiting>) {
    if let Some(waiting) = waiting.take() {
        waiting.done();
    }
}

/// What a step comes to.
enum Said {
    Progress(Bytes),
    Chunk(Bytes),
    End(Answered),
}

fn said(events: &mut dyn Events, step: Step, is_read: bool) -> Result<Said, GatewayError> {
    Ok(match step {
        Step::Progress(step) => Said::Progress(events.progress(&step).unwrap_or_default()),
        Step::Chunk(chunk) => Said::Chunk(events.chunk(&chunk)?),
        Step::Answered(answer) => {
            if let Some(whole) = answer.whole.as_ref().filter(|_| !is_read) {
                events.take(whole)?;
            }
            Said::End(answer)
        }
    })
}

/// What is left to be said, in writes of moderate size, ended by the first panic.
fn writes(
    chunks: Box<dyn Iterator<Item = Vec<u8>> + Send + '_>,
) -> impl futures_util::Stream<Item = Result<Bytes, GatewayError>> {
    futures_util::stream::unfold(Some(chunks), async |chunks| {
        let mut chunks = chunks?;
        let gathered = contain(async {
            let mut write = Vec::new();
            while write.len() < WRITE_BYTES {
                match chunks.next() {
                    Some(chunk) => write.extend(chunk),
                    None => return (write, None),
                }
            }
            (write, Some(chunks))
        });
        match gathered.await {
            Ok((write, None)) if write.is_empty() => None,
            Ok((write, rest)) => Some((Ok(write.into()), rest)),
            Err(panicked) => Some((Err(panicked.into()), None)),
        }
    })
}
