//! What takes an answer's pieces.

use async_trait::async_trait;
use t4t_api::inference_runner::RunnerError;
use t4t_inference::{End, Piece};
use t4t_json::JsonText;
use t4t_types::TokenUsage;

/// Takes an answer's pieces as the runner makes them.
#[async_trait]
pub(crate) trait PieceSink: Send {
    /// Takes a piece. The runner is not read on until this returns.
    ///
    /// # Errors
    /// The piece is of no use: the runner's stream is dropped.
    async fn take(&mut self, piece: Piece) -> Result<(), RunnerError>;

    /// Whether another runner may begin the answer anew: not once a piece of it has left.
    fn may_start_over(&self) -> bool;
}

/// An answer that is delivered whole, as version 1 delivers it: the end holds it.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    collected: Option<(JsonText, TokenUsage)>,
}

impl Whole {
    /// The answer and what it took; `None` before its end was taken.
    pub(crate) fn take_answer(&mut self) -> Option<(JsonText, TokenUsage)> {
        self.collected.take()
    }
}

#[async_trait]
impl PieceSink for Whole {
    async fn take(&mut self, piece: Piece) -> Result<(), RunnerError> {
        match piece {
            Piece::End(End { whole: Some(response), usage }) => self.collected = Some((response, usage)),
            Piece::End(End { whole: None, .. }) => return Err(unfinished()),
            Piece::Chunk(_) => {}
        }
        Ok(())
    }

    fn may_start_over(&self) -> bool {
        true
    }
}

/// What is said of a stream without an end.
pub(super) fn unfinished() -> RunnerError {
    RunnerError::Backend { reason: "the stream ended without its end".into() }
}
