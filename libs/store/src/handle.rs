//! The database as everybody holds it.

use std::path::PathBuf;

use sqlx::SqlitePool;

/// The database of one process, as one market's or (for reading) as a whole.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: SqlitePool,
    pub(crate) path: PathBuf,
    /// The row of the market that is read and written; all are read without one, and none is written.
    pub(crate) market: Option<i64>,
}
