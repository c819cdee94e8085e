//! What a dialect is to whoever serves it.

use bytes::Bytes;
use t4t_api::job_dispatcher::BuyingProgress;
use t4t_inference::{Chunk, InferenceRequest};
use t4t_json::JsonText;
use t4t_types::{ModelId, RequestId, TokenUsage, UnixSeconds};

use super::events;
use crate::config::ProgressMode;
use crate::unusable::UnusableAnswer;
use crate::wire::error::{ErrorBody, Rejection};

/// A format that apps ask in.
pub(crate) trait Dialect: Sync {
    /// Reads a request's body.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    fn read(&self, body: Bytes) -> Result<Asked, Rejection>;

    /// An error's body: JSON. OpenAI's shape, unless a dialect has another.
    fn error(&self, error: &ErrorBody<'_>) -> Vec<u8> {
        serde_json::to_vec(error).expect("an error is texts")
    }
}

/// What an app asks for.
pub(crate) struct Asked {
    /// The model.
    pub(crate) model: ModelId,
    /// Whether the answer is to come as a stream.
    pub(crate) stream: bool,
    /// What is bought.
    pub(crate) request: InferenceRequest,
    /// What the answer needs.
    pub(crate) answering: Box<dyn Answering>,
}

/// What is known when the answer begins.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    /// The request.
    pub(crate) id: RequestId,
    /// The model asked for.
    pub(crate) model: ModelId,
    /// When.
    pub(crate) at: UnixSeconds,
    /// How a stream shows what happens until the answer is there.
    pub(crate) progress: ProgressMode,
}

/// How one request is answered.
pub(crate) trait Answering: Send {
    /// A whole answer as the app is given it.
    ///
    /// # Errors
    /// The app could not use it.
    fn whole(self: Box<Self>, begun: Begun, answer: JsonText) -> Result<JsonText, UnusableAnswer>;

    /// The answer as a stream.
    fn stream(self: Box<Self>, begun: Begun) -> Box<dyn Events>;
}

/// The events of one stream, as bytes to be written.
pub(crate) trait Events: Send {
    /// How the stream begins.
    fn opening(&self) -> Bytes;

    /// What is shown of a step, if anything.
    fn progress(&mut self, step: &BuyingProgress) -> Option<Bytes>;

    /// What a chunk of the answer comes to.
    ///
    /// # Errors
    /// The app could not use it.
    fn chunk(&mut self, chunk: &Chunk) -> Result<Bytes, UnusableAnswer>;

    /// Takes in an answer that came whole. It is asked for before the stream begins, where it is there by then.
    ///
    /// # Errors
    /// The app could not use it.
    fn take(&mut self, whole: &JsonText) -> Result<(), UnusableAnswer>;

    /// The rest of the stream: the answer that was taken in, or what follows the last chunk.
    fn rest(&mut self, usage: TokenUsage) -> Box<dyn Iterator<Item = Vec<u8>> + Send + '_>;

    /// How the stream ends if it breaks off.
    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        events::event(error).into()
    }
}
