//! What a message is, whichever way it travels.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A message that is answered once.
pub trait Call: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The answer.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// The service's error.
    type Error: ServiceError;
    /// Where the HTTP server takes this message.
    const PATH: &'static str;
    /// How long a caller waits for the answer.
    const DEADLINE: Duration = Duration::from_secs(30);
    /// Whether sending it twice does what sending it once does; only such a message is ever sent again.
    const IDEMPOTENT: bool = true;
}

/// A message that is answered in pieces.
pub trait StreamCall: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// One piece of the answer.
    type Item: Serialize + DeserializeOwned + Send + 'static;
    /// The service's error.
    type Error: ServiceError;
    /// Where the HTTP server takes this message.
    const PATH: &'static str;
    /// How long a caller waits for the stream to begin.
    const DEADLINE: Duration = Duration::from_secs(30);
}

/// The pieces of an answer. It ends after its first error; dropping it tells the service to stop.
pub type ItemStream<C> =
    Pin<Box<dyn Stream<Item = Result<<C as StreamCall>::Item, <C as StreamCall>::Error>> + Send>>;

/// A service's error, the same for both ways to reach it.
pub trait ServiceError:
    std::error::Error + Serialize + DeserializeOwned + From<TransportError> + Send + 'static
{
    /// The HTTP status that says the same.
    fn status(&self) -> u16;
}

/// Answers messages of type `C`.
#[async_trait]
pub trait Serve<C: Call>: Send + Sync {
    /// Asks, and waits for the answer.
    async fn ask(&self, call: C) -> Result<C::Reply, C::Error>;
}

/// Answers messages of type `C` in pieces.
#[async_trait]
pub trait ServeStream<C: StreamCall>: Send + Sync {
    /// Asks, and returns the pieces as they come.
    async fn open(&self, call: C) -> Result<ItemStream<C>, C::Error>;
}

/// The message did not reach the service, or its answer did not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "transport", rename_all = "snake_case")]
pub enum TransportError {
    /// The service has as much to do as it takes; try again after the given time.
    #[error("the {service} service is busy, try again in {retry_after_s} s")]
    Busy {
        /// Which service.
        service: String,
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The service is not there yet; try again after the given time.
    #[error("the {service} is starting, GET /ready says what it waits for: try again in {retry_after_s} s")]
    Starting {
        /// Which service.
        service: String,
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The service has stopped or can't be reached.
    #[error("the {service} service can't be reached: {reason}")]
    Unreachable {
        /// Which service.
        service: String,
        /// What was seen.
        reason: String,
    },
    /// No answer within the message's deadline.
    #[error("the {service} service did not answer within {after_ms} ms")]
    TimedOut {
        /// Which service.
        service: String,
        /// How long was waited, in milliseconds.
        after_ms: u64,
    },
    /// The caller's token is missing or wrong.
    #[error(
        "the {service} service refused the token, check T4T_SERVICE_TOKEN, or a runner's T4T_RUNNER_TOKEN, on both sides"
    )]
    Unauthorized {
        /// Which service.
        service: String,
    },
    /// The message or its answer could not be read.
    #[error("a message to the {service} service could not be read: {reason}")]
    Malformed {
        /// Which service.
        service: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl TransportError {
    /// The HTTP status that says the same.
    pub fn status(&self) -> u16 {
        match self {
            Self::Busy { .. } | Self::Starting { .. } => 503,
            Self::Unreachable { .. } => 502,
            Self::TimedOut { .. } => 504,
            Self::Unauthorized { .. } => 401,
            Self::Malformed { .. } => 400,
        }
    }
}
