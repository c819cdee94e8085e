//! What was bought and sold, by the databases of the roles.

mod databases;
mod history;
mod market;
mod meaning;
mod row;

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use t4t_store::{Side, StoreError};
use t4t_types::RoutingId;

pub use self::databases::Databases;
pub use self::history::{Cost, JobHistory};
pub use self::row::JobRow;

/// Rows among which an id or a state is looked for.
const SEARCHED: u32 = 10_000;

/// Digits of an id that must be given at least.
const MIN_DIGITS: usize = 4;

/// Lists jobs of both sides, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListJobs {
    /// Lists one side only.
    pub side: Option<Side>,
    /// Lists only those whose money has not reached its end.
    pub is_open: bool,
    /// Lists only those in this state, such as `claimed`.
    pub state: Option<String>,
    /// Lists so many at the most.
    pub limit: u32,
}

/// Asks for all that is known about the job that an id names, on each side that knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetJobHistory {
    /// An id of the job, or its first digits: of the job, the request, the app's completion, a transaction, the routing
    /// id of messages, or the reference of a sealed request or answer.
    pub id: String,
    /// Looks at one side only.
    pub side: Option<Side>,
}

/// The jobs can't be read.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// No role has run with this folder.
    #[error("there is no {} in {}: start a role first, or name its folder with --data", .database, .folder.display())]
    NoDatabase {
        /// The database's name.
        database: &'static str,
        /// Where it is missing.
        folder: PathBuf,
    },
    /// A database can't be opened.
    #[error("can't open {}", .database.display())]
    Open {
        /// Which one.
        database: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// A database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A database with the jobs of several markets, none of which the settings name.
    #[error(
        "{} holds the jobs of several markets ({markets}): name one with ESCROW_ADDRESS and T4T_CHAIN_ID",
        .database.display()
    )]
    SeveralMarkets {
        /// Which one.
        database: PathBuf,
        /// Their names.
        markets: String,
    },
    /// An id that half the jobs could have.
    #[error("{id:?} is too short: give at least {MIN_DIGITS} digits of the id")]
    ShortId {
        /// What was given.
        id: String,
    },
    /// No job has such an id.
    #[error("nothing here begins with {id}: `t4t jobs` lists the jobs")]
    UnknownId {
        /// What was given.
        id: String,
    },
}

impl ListJobs {
    /// Reads them.
    ///
    /// # Errors
    /// A database can't be opened or read.
    pub async fn read(&self, databases: &Databases) -> Result<Vec<JobRow>, JobsError> {
        let is_filtered = self.is_open || self.state.is_some();
        let found = databases.rows(self.side, if is_filtered { SEARCHED } else { self.limit }).await?;
        let wanted = |row: &JobRow| {
            (!self.is_open || meaning::is_open(&row.state))
                && self.state.as_ref().is_none_or(|state| state.eq_ignore_ascii_case(&row.state))
        };
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        Ok(found.into_iter().map(|(_, row)| row).filter(wanted).take(most).collect())
    }
}

impl GetJobHistory {
    /// Reads it.
    ///
    /// # Errors
    /// The id is too short or names nothing, or a database can't be opened or read.
    pub async fn read(&self, databases: &Databases) -> Result<Vec<JobHistory>, JobsError> {
        let wanted = digits_of(&self.id);
        if wanted.len() < MIN_DIGITS {
            return Err(JobsError::ShortId { id: self.id.clone() });
        }
        let all = databases.rows(self.side, SEARCHED).await?;
        let mut names: Vec<String> = vec![wanted.clone()];
        if !all.iter().any(|(_, row)| row.is_named(&wanted)) {
            names = ids_of_transaction(databases, &wanted).await?;
        }
        // Both sides of a job share its routing id, whichever id was asked for.
        let routings: HashSet<RoutingId> = all
            .iter()
            .filter(|(_, row)| names.iter().any(|name| row.is_named(name)))
            .map(|(_, row)| row.routing)
            .collect();
        if routings.is_empty() {
            return Err(JobsError::UnknownId { id: self.id.clone() });
        }
        let mut histories = Vec::new();
        for (database, row) in all.into_iter().filter(|(_, row)| routings.contains(&row.routing)) {
            histories.push(JobHistory::read(databases, &database, row).await?);
        }
        Ok(histories)
    }
}

/// The digits of an id, however it is written.
fn digits_of(id: &str) -> String {
    id.trim().trim_start_matches("chatcmpl-").trim_start_matches("0x").to_ascii_lowercase()
}

/// The requests and jobs that the transactions with such a hash are about.
async fn ids_of_transaction(databases: &Databases, digits: &str) -> Result<Vec<String>, JobsError> {
    let keys = databases.transaction_keys(digits).await?;
    Ok(keys.iter().filter_map(|key| key.split(':').nth(1)).map(digits_of).collect())
}
