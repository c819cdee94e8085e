//! What can go wrong between a caller and a Bee node.

use std::time::Duration;

use t4t_types::{BatchId, SwarmRef};

/// A call to a Bee node that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// The batch, or the bucket of it that the content falls into, is full (402): dilute it, or take another.
    #[error("postage batch {0} is full")]
    StampFull(BatchId),
    /// The node does not know the batch, or it is not usable yet: wait until `GET /stamps/{id}` answers.
    #[error("postage batch {batch} is not usable: {message}")]
    StampUnusable {
        /// The batch that was named.
        batch: BatchId,
        /// What the node said.
        message: String,
    },
    /// No batch can pay and none may be bought.
    #[error("no usable postage batch, and none may be bought")]
    NoStamp,
    /// The wallet of the node can't pay for that.
    #[error("the node's wallet has too little xBZZ: {0}")]
    OutOfFunds(String),
    /// Nothing was found there, or not yet: unknown content takes the network seconds to miss.
    #[error("nothing found at {0}")]
    NotFound(String),
    /// The message or the content is longer than may be.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// What was too long.
        what: &'static str,
        /// Most bytes taken.
        limit: usize,
    },
    /// The node could not be reached, or the connection broke.
    #[error("the node is unreachable")]
    Unreachable(#[source] reqwest::Error),
    /// The node did not answer in time; whether it did what was asked is unknown.
    #[error("the node did not answer within {0:?}")]
    TimedOut(Duration),
    /// The node answered with an error of its own.
    #[error("the node answered {status}: {message}")]
    Node {
        /// The HTTP status.
        status: u16,
        /// What the node said, shortened.
        message: String,
    },
    /// The node's answer is not what its API promises.
    #[error("the answer to {call} was not understood")]
    Malformed {
        /// Which call.
        call: &'static str,
        /// What was wrong, if a parser said so.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The message could not be wrapped in a chunk.
    #[error("the message could not be wrapped")]
    Wrap(#[from] crate::trojan::WrapError),
    /// Nothing can be mined for this target.
    #[error("the message could not be mined")]
    Target(#[from] crate::trojan::TargetError),
    /// The client could not be set up: a bad URL, or no TLS.
    #[error("the client could not be set up: {0}")]
    Setup(String),
}

impl SwarmError {
    /// Whether the same call may succeed later without anything being changed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) | Self::NotFound(_) | Self::StampUnusable { .. } => true,
            Self::Node { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    pub(crate) fn not_found(reference: &SwarmRef) -> Self {
        Self::NotFound(reference.to_string())
    }
}
