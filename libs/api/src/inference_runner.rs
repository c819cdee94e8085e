//! The inference runner: one per GPU or backend.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use t4t_inference::{InferenceRequest, Piece, Refusal};
use t4t_types::{JobRef, ModelId, TokenPrices};

use crate::call::{Call, Serve, ServeStream, ServiceError, StreamCall, TransportError};

/// Asks for the models and the load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GetRunnerStatus {}

/// What a runner can do and how busy it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerStatus {
    /// Requests it works on at a time.
    pub slots: u32,
    /// Slots in use now.
    pub busy: u32,
    /// The models of its backends, those that are away for the moment among them.
    pub models: Vec<RunnerModel>,
}

/// One model of a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerModel {
    /// The name it is offered under: the backend's own; where several backends have it, `<endpoint>/<name>` as well.
    pub model: ModelId,
    /// Its prices where the operator set them.
    pub prices: Option<TokenPrices>,
    /// Its longest context in tokens, where the backend tells.
    pub max_context_tokens: Option<u64>,
    /// Whether its backend does not answer for the moment: it stays on offer and is refused with a "try again".
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

impl Call for GetRunnerStatus {
    type Reply = RunnerStatus;
    type Error = RunnerError;
    const PATH: &'static str = "/inference-runner/v1/status";
}

/// Runs one request. The pieces end with [`Piece::End`], which has the whole answer and what is billed: the backend's
/// usage, but never more than the runner counted plus a stated tolerance; the runner's own count where the backend tells
/// none.
///
/// The runner always streams from its backend. Dropping the answer stops the backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunInference {
    /// The job that pays for it.
    pub job: JobRef,
    /// The model, as offered.
    pub model: ModelId,
    /// The app's request; what the runner does not know goes to the backend untouched.
    pub request: InferenceRequest,
    /// The most completion tokens that the payment covers; `None` where completion tokens cost nothing.
    pub max_completion_tokens: Option<u64>,
    /// Until when the answer is of use, in milliseconds from now.
    pub time_limit_ms: u64,
}

impl StreamCall for RunInference {
    type Item = Piece;
    type Error = RunnerError;
    const PATH: &'static str = "/inference-runner/v1/run";
    const DEADLINE: Duration = Duration::from_secs(60);
}

/// Why a runner did not run a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum RunnerError {
    /// All slots are taken.
    #[error("all {slots} slots are taken")]
    Full {
        /// How many there are.
        slots: u32,
    },
    /// No backend has the model.
    #[error("no backend serves the model {model}")]
    UnknownModel {
        /// The model.
        model: ModelId,
    },
    /// The backend refused. Where the refusal blames the request, another backend would refuse it too; 429 and 503 say
    /// that it can't take it now.
    #[error("the backend refused the request: {}", .refusal.message)]
    Refused {
        /// What it says, as far as an app may be told.
        refusal: Refusal,
    },
    /// The backend failed, hung or answered nonsense.
    #[error("the backend failed: {reason}")]
    Backend {
        /// What was seen.
        reason: String,
    },
    /// Time ran out.
    #[error("the backend did not finish in time")]
    TimedOut,
    /// The service could not be asked.
    #[error(transparent)]
    Transport {
        /// How it failed.
        #[from]
        cause: TransportError,
    },
}

impl ServiceError for RunnerError {
    fn status(&self) -> u16 {
        match self {
            Self::Full { .. } => 503,
            Self::UnknownModel { .. } => 404,
            Self::Refused { refusal } => refusal.status.unwrap_or(400),
            Self::Backend { .. } => 502,
            Self::TimedOut => 504,
            Self::Transport { cause } => cause.status(),
        }
    }
}

/// A runner as its callers see it, wherever it runs.
pub trait InferenceRunner: Serve<GetRunnerStatus> + ServeStream<RunInference> {}

impl<T> InferenceRunner for T where T: Serve<GetRunnerStatus> + ServeStream<RunInference> + ?Sized {}
