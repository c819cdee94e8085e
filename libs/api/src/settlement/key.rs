//! The names of transactions.

use std::fmt;

use serde::{Deserialize, Serialize};
use t4t_types::JobId;

/// The name of a transaction-to-be: what makes submitting it twice the same as submitting it once.
///
/// Its text says what the transaction is for, such as `post:<request>:<attempt>` or `claim:<job>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionKey(String);

impl TransactionKey {
    /// A key from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key of a job's acknowledgement.
    pub fn ack(job: JobId) -> Self {
        Self(format!("ack:{job}"))
    }

    /// The key of a job's claim, whether for money or for nothing: a job is settled by its provider at most once.
    pub fn claim(job: JobId) -> Self {
        Self(format!("claim:{job}"))
    }

    /// The key of a job's cancellation by its client.
    pub fn cancel(job: JobId) -> Self {
        Self(format!("cancel:{job}"))
    }

    /// The key of a job's time-out by its client.
    pub fn time_out(job: JobId) -> Self {
        Self(format!("timeout:{job}"))
    }

    /// The key under which the same is tried once more, because the contract refused it while a reorganisation was under
    /// way; `time` counts from 1, and the first time has the key itself.
    #[must_use]
    pub fn of_time(&self, time: u32) -> Self {
        if time <= 1 { self.clone() } else { Self(format!("{}:{time}", self.0)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
