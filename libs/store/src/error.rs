//! What can go wrong with the database, and what to do about it.

use t4t_protocol::job::IllegalTransition;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room for what was to be written.
    #[error("the disk of the data folder is full: free some space, work goes on by itself")]
    DiskFull(#[source] sqlx::Error),
    /// There is room, and too little of it to take on new work.
    #[error("the disk of the data folder is nearly full ({free_mib} MiB left): free some space")]
    DiskNearlyFull {
        /// What is left, in MiB.
        free_mib: u64,
    },
    /// The file or its disk takes no changes.
    #[error(
        "the database can't be written: correct the owner and mode of t4t.db, or mount its disk for writing"
    )]
    ReadOnly(#[source] sqlx::Error),
    /// Others hold the database for longer than was waited.
    #[error("the database is busy: end whatever else has t4t.db open")]
    Busy(#[source] sqlx::Error),
    /// The file holds what SQLite never wrote.
    #[error(
        "the database is damaged ({story}): stop the process and put a copy of t4t.db back; without one move t4t.db, \
         t4t.db-wal and t4t.db-shm away, and what was open is settled by what the chain shows"
    )]
    Corrupt {
        /// What SQLite says.
        story: String,
    },
    /// The file can't be opened, read, written or synced.
    #[error("the database can't be used: see whether the disk of the data folder takes writes")]
    Unavailable(#[source] sqlx::Error),
    /// The file is of a newer version than this program.
    #[error("the database can't be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The folder of the file can't be made.
    #[error("can't make the folder {path}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A row holds what this program never writes.
    #[error("column {column} holds what was never written to it")]
    Damaged {
        /// The column.
        column: &'static str,
    },
    /// The step can't be taken from the state that the row is in.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The row is no longer in the state that the change starts from.
    #[error("{what} is no longer {expected}")]
    Conflict {
        /// The row.
        what: String,
        /// The state it was expected in.
        expected: String,
    },
}

impl StoreError {
    /// Whether it may pass by itself, or once somebody frees space, so that the same is worth another try.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::DiskFull(_)
                | Self::DiskNearlyFull { .. }
                | Self::ReadOnly(_)
                | Self::Busy(_)
                | Self::Unavailable(_)
        )
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(cause: sqlx::Error) -> Self {
        match primary_code(&cause) {
            Some(SQLITE_FULL) => Self::DiskFull(cause),
            Some(SQLITE_READONLY) => Self::ReadOnly(cause),
            Some(SQLITE_BUSY | SQLITE_LOCKED) => Self::Busy(cause),
            Some(SQLITE_CORRUPT | SQLITE_NOTADB) => Self::Corrupt { story: story(&cause) },
            _ if matches!(cause, sqlx::Error::PoolTimedOut) => Self::Busy(cause),
            _ => Self::Unavailable(cause),
        }
    }
}

/// SQLite's result codes; the upper bytes of an extended code say more.
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_NOTADB: u32 = 26;

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn story(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
