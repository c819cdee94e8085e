//! A body that is sent at a set rate.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use t4t_clock::SharedClock;

/// How often a piece is sent.
const PACE: Duration = Duration::from_millis(50);

/// A body that is sent in pieces, one every 50 ms, so that it comes at a rate.
pub(super) struct Slow {
    left: Bytes,
    piece: usize,
    clock: SharedClock,
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Slow {
    /// All at once at a rate of 0 bytes a second.
    pub(super) fn new(content: Vec<u8>, rate: u64, clock: SharedClock) -> Self {
        let a_pace = usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
        let piece = if rate == 0 { content.len().max(1) } else { a_pace };
        Self { left: content.into(), piece, clock, pause: None }
    }
}

impl MessageBody for Slow {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if let Some(pause) = &mut self.pause {
            match pause.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.pause = None,
            }
        }
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let count = self.piece.min(self.left.len());
        let piece = self.left.split_to(count);
        if !self.left.is_empty() {
            let clock = self.clock.clone();
            self.pause = Some(Box::pin(async move { clock.sleep(PACE).await }));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}
