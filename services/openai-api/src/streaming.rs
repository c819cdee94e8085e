//! Sends a purchase as server-sent events while it runs.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use t4t_clock::{SharedClock, timeout};

use crate::error::GatewayError;
use crate::joining::Waiting;
use crate::purchase::{Answered, Purchase, Step};
use crate::transcript::Transcript;
use crate::wire::answer::Answer;
use crate::wire::chunk::KEEP_ALIVE;
use crate::wire::mend::{Asked, mended};

/// Chunks that are ready together are written together, up to about this many bytes.
pub(crate) const WRITE_BYTES: usize = 16 << 10;

/// One stream.
pub(crate) struct Stream {
    /// What is bought.
    pub(crate) purchase: Purchase,
    /// Its answer, as far as it was read.
    pub(crate) reading: Reading,
    /// What is said.
    pub(crate) transcript: Transcript,
    /// What the app leaves behind if it goes away before its answer.
    pub(crate) waiting: Option<Waiting>,
}

/// An answer, read or to be read.
pub(crate) enum Reading {
    /// It came before the stream began.
    Done(Box<Answer>),
    /// It is judged by what was asked.
    Asked(Asked),
}

impl Reading {
    fn read(self, answer: &Answered) -> Result<Answer, GatewayError> {
        match self {
            Self::Done(answer) => Ok(*answer),
            Self::Asked(asked) => read(answer, asked),
        }
    }
}

/// The events of a purchase. Nothing is asked of the purchase before the client has taken what came before.
pub(crate) fn events(
    stream: Stream,
    clock: SharedClock,
    keep_alive: Duration,
) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let Stream { mut purchase, reading, mut transcript, mut waiting } = stream;
    async_stream::stream! {
        yield Ok(transcript.opening());
        let mut length = 0;
        let answered = loop {
            match timeout(&*clock, keep_alive, purchase.next()).await {
                Err(_) => yield Ok(KEEP_ALIVE),
                Ok(Ok(Step::Answered(answer))) => {
                    length = answer.whole.as_str().len();
                    break reading.read(&answer);
                }
                Ok(Ok(Step::Progress(step))) => {
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
                        // Part of the answer was taken: whoever asks again wants another one.
                        if let Some(waiting) = waiting.take() {
                            waiting.done();
                        }
                    }
                }
                yield Ok(write.into());
                if let Some(waiting) = waiting.take() {
                    waiting.done();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a stream broke off");
                if let Some(waiting) = waiting.take() {
                    waiting.failed(&error);
                }
                yield Ok(Transcript::error(&error));
            }
        }
    }
}

/// Reads an answer for an app that asked so.
pub(crate) fn read(answer: &Answered, asked: Asked) -> Result<Answer, GatewayError> {
    Ok(Answer::parse(&mended(answer.whole.as_str(), asked)?)?)
}
