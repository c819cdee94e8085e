//! What goes wrong between this process and the chain.

use std::time::Duration;

use serde_json::Value;
use t4t_types::Address;

use crate::revert::Revert;
use crate::send::SendError;

/// A question to the chain that got no usable answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// No endpoint gave a usable answer within the attempts and the deadline; asking again later may help.
    #[error("no endpoint of the chain gave a usable answer, the last one asked was {endpoint}")]
    Unreachable {
        /// Host of the endpoint that was asked last.
        endpoint: String,
        /// What it did.
        #[source]
        fault: EndpointFault,
    },
    /// Every endpoint asks to be left alone for a while.
    #[error("{endpoint} limits the rate of requests, ask again in {} s", retry_after.as_secs().max(1))]
    RateLimited {
        /// Host of the endpoint that is free again first.
        endpoint: String,
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// The node answered with a JSON-RPC error that may be about the call, and no other endpoint had a better answer.
    #[error("the node refused: {message} (code {code})")]
    Answer {
        /// JSON-RPC error code.
        code: i64,
        /// The node's text, cut to 1,000 characters.
        message: String,
        /// What the node attached, if it is of a sane size.
        data: Option<Value>,
    },
    /// A contract refused the call.
    #[error("the contract refused: {0}")]
    Reverted(Revert),
    /// An answer that does not have the documented form.
    #[error("{what} could not be read: {detail}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The answer is longer than this process takes; ask for less.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// Bytes that are taken.
        limit: usize,
    },
    /// Nothing is deployed at the address that a contract was expected at.
    #[error("there is no contract at {address}; check the configured address and the chain")]
    NoContract {
        /// The empty address.
        address: Address,
    },
    /// The endpoint's head lies further back than a reorganisation reaches; ask again, another endpoint is next.
    #[error("the endpoint is behind: its head is block {got}, block {seen} was seen before")]
    StaleHead {
        /// Highest block seen so far.
        seen: u64,
        /// Head that the endpoint reports now.
        got: u64,
    },
    /// The endpoint serves another chain.
    #[error("expected chain {expected}, the endpoint serves chain {got}")]
    WrongChain {
        /// Chain id that was configured.
        expected: u64,
        /// Chain id that the endpoint reported.
        got: u64,
    },
    /// A signed transaction was not taken.
    #[error("the transaction was not sent")]
    NotSent(#[source] Box<SendError>),
    /// The client can't be made from this configuration.
    #[error("the chain client can't be set up: {0}")]
    Setup(String),
}

/// What one endpoint did instead of answering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection failed or broke off.
    #[error("connection failed: {0}")]
    Connection(String),
    /// An HTTP status that carries no answer.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The endpoint limits the rate of requests.
    #[error("rate limited")]
    RateLimited,
    /// The endpoint answers that it does not do its work: an internal error, a quota, a missing right.
    #[error("it refuses: {message} (code {code})")]
    Refuses {
        /// JSON-RPC error code.
        code: i64,
        /// Its text, cut to 1,000 characters.
        message: String,
    },
    /// Bytes that are no answer to what was asked: HTML, broken JSON, an unknown id.
    #[error("not an answer: {0}")]
    Garbage(String),
}

impl From<SendError> for ChainError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unanswered(cause) => cause,
            refused => Self::NotSent(Box::new(refused)),
        }
    }
}

impl ChainError {
    /// An answer without the documented form.
    pub(crate) fn malformed(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Malformed { what, detail: detail.into() }
    }

    /// Whether the same question may well be answered a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::RateLimited { .. } | Self::StaleHead { .. })
    }

    /// The contract's refusal, if this is one.
    pub fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted(revert) => Some(revert),
            _ => None,
        }
    }
}

/// Cuts a text from outside to what a log line can carry.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 1000;
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}
