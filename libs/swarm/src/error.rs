//! What can go wrong between a caller and a Bee node.

use std::time::Duration;

use t4t_types::{Address, BatchId, SwarmRef, Xbzz};

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
    /// The node does not show a batch that was bought or used before: it is waited for, and no other is bought.
    #[error(
        "the postage batch {batch} is not shown by the Bee node yet: it is waited for, and no other is bought"
    )]
    StampHidden {
        /// The batch.
        batch: BatchId,
    },
    /// A purchase whose batch does not show yet: it is waited for, and no other is made.
    #[error(
        "a postage batch was ordered for {cost} xBZZ {minutes} minutes ago and does not show yet: it is waited for, and no other is bought"
    )]
    StampOrdered {
        /// What it cost.
        cost: Xbzz,
        /// How long ago.
        minutes: u64,
    },
    /// A purchase that only a person may allow.
    #[error("{what} costs {cost} xBZZ, and {setting} allows {allowed}")]
    NeedsConsent {
        /// What would be bought.
        what: String,
        /// What it costs.
        cost: Xbzz,
        /// The setting that bounds it.
        setting: &'static str,
        /// What is allowed still.
        allowed: Xbzz,
    },
    /// The node's own wallet has too little of a coin for a purchase.
    #[error("the Bee node's own wallet {wallet} has {has} {coin} and needs {needs}")]
    WalletLacks {
        /// The node's wallet.
        wallet: Address,
        /// Which coin.
        coin: &'static str,
        /// What it has.
        has: String,
        /// What the purchase takes, and what would be bought.
        needs: String,
    },
    /// What was bought can't be written down, so nothing is bought.
    #[error("what is bought can't be written down in {file}: {reason}")]
    Journal {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Batches are only looked at, and one would have to be bought.
    #[error("no usable postage batch, and T4T_STAMP_DRY_RUN only says what would be bought: {0}")]
    DryRun(String),
    /// The node took content, and the network has not all of it: the node has no way there.
    #[error("the Bee node took {bytes} bytes and in {} s did not pass them on to the network", after.as_secs())]
    NotPassedOn {
        /// How long the content is.
        bytes: usize,
        /// How long that was waited for.
        after: Duration,
    },
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

    /// What a person does about it.
    pub fn next_step(&self) -> String {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) => "start Bee, or correct BEE_API_URL".into(),
            Self::NoStamp => "set T4T_STAMP_MANAGE=true, or buy a batch and set POSTAGE_BATCH_ID".into(),
            Self::StampHidden { .. } | Self::StampOrdered { .. } => {
                "wait: a node shows its batches some minutes after a start or a purchase; or set POSTAGE_BATCH_ID to another".into()
            }
            Self::NeedsConsent { setting, .. } => {
                format!("raise {setting}, lower T4T_STAMP_DEPTH, or buy a batch yourself and set POSTAGE_BATCH_ID")
            }
            Self::WalletLacks { wallet, coin, .. } => format!("send {coin} on Gnosis Chain to {wallet}"),
            Self::Journal { .. } => "make the data folder writable; an unreadable file may be removed once no purchase is under way".into(),
            Self::DryRun(_) => "set T4T_STAMP_DRY_RUN=false".into(),
            Self::NotPassedOn { .. } => NO_WAY_OUT.into(),
            Self::OutOfFunds(_) => "send xBZZ to the Bee node's own wallet (`t4t doctor` names it)".into(),
            Self::NotFound(_) | Self::StampUnusable { .. } => {
                "wait until the batch is usable, or correct POSTAGE_BATCH_ID".into()
            }
            _ => "look at Bee's log".into(),
        }
    }

    pub(crate) fn not_found(reference: &SwarmRef) -> Self {
        Self::NotFound(reference.to_string())
    }
}

/// What to do about a node that has no way to the network.
pub(crate) const NO_WAY_OUT: &str =
    "look at the Bee node's log and peers: it must reach other nodes, and they it (its p2p port)";

/// What keeps a node from carrying anything, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmTrouble {
    /// What is so.
    pub reason: String,
    /// What a person does about it.
    pub next_step: String,
}

impl SwarmTrouble {
    /// Some trouble.
    pub fn new(reason: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { reason: reason.into(), next_step: next_step.into() }
    }
}

impl From<&SwarmError> for SwarmTrouble {
    fn from(error: &SwarmError) -> Self {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            reason.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self { reason, next_step: error.next_step() }
    }
}

impl std::fmt::Display for SwarmTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.next_step)
    }
}
