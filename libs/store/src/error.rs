//! What can go wrong with the database.

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be opened, written or synced: disk full, read-only, locked by another process.
    #[error("the database can't be used")]
    Unavailable(#[from] sqlx::Error),
    /// The file is of a newer version than this program, or damaged.
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
    /// The row is no longer in the state that the change starts from.
    #[error("{what} is no longer {expected}")]
    Conflict {
        /// The row.
        what: String,
        /// The state it was expected in.
        expected: String,
    },
}
