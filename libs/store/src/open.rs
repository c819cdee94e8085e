//! Opening the database.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::{Market, Store, StoreError, upgrade};

/// How long a writer waits for another one; SQLite has one writer at a time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One writer and a few readers: more connections only wait for each other.
const MAX_CONNECTIONS: u32 = 4;

/// What each connection keeps of the file, in KiB below zero, as SQLite has it: the newest rows and the indexes' roots.
/// More would only be kept twice, since the system keeps the file as well.
const CACHE: &str = "-256";

impl Store {
    /// Opens the database at `path`, making it and its folder if they are not there, and brings it up to date; one of an
    /// older version is copied beside itself before. Jobs are stored in a market: [`Self::for_market`].
    ///
    /// A commit is on the disk when it returns (`synchronous=FULL`), so that an intent stored before an effect is
    /// still there after a power cut.
    ///
    /// # Errors
    /// The file can't be opened, copied or brought up to date, is damaged or is of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, MAX_CONNECTIONS).await
    }

    /// Opens it for one market, as [`Self::open`] and [`Self::for_market`] do.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_for(path: &Path, market: Market) -> Result<Self, StoreError> {
        Self::open(path).await?.for_market(market).await
    }

    /// The same as [`Self::open`] with one connection: everything is done in the order in which it was asked, which a simulation needs.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_in_order(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, 1).await
    }

    async fn open_with(path: &Path, connections: u32) -> Result<Self, StoreError> {
        make_private_folder(path)?;
        let store = Self::connect(path, true, connections).await?;
        store.check().await?;
        upgrade::bring_up_to_date(&store, &upgrade::MIGRATOR).await?;
        Ok(store)
    }

    /// Opens an existing database for reading, beside the process that owns it: the rows of every market, until
    /// [`Self::in_market`] names one.
    ///
    /// # Errors
    /// The file is not there, can't be read, or is of another version.
    pub async fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, false, MAX_CONNECTIONS).await?;
        upgrade::check_schema(&store).await?;
        Ok(store)
    }

    /// The file's name, for people.
    pub(crate) fn file(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Whether nothing is being read or written now. A simulation moves its clock on only then.
    pub fn is_idle(&self) -> bool {
        usize::try_from(self.pool.size()).is_ok_and(|size| size == self.pool.num_idle())
    }

    pub(crate) async fn connect(path: &Path, create: bool, connections: u32) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", CACHE)
            .busy_timeout(BUSY_TIMEOUT);
        let writes = create;
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move { takes_writes(connection, writes).await })
            })
            .after_release(|connection, _| Box::pin(is_usable(connection)))
            .connect_with(options)
            .await?;
        Ok(Self { pool, path: path.to_owned(), market: None })
    }

    /// Writes everything back and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Refuses a connection that should write and can't: opened while the disk takes no writes, it would never write, even
/// when the disk does again.
async fn takes_writes(connection: &mut SqliteConnection, should: bool) -> Result<(), sqlx::Error> {
    if should {
        connection.execute("BEGIN IMMEDIATE").await?;
        connection.execute("ROLLBACK").await?;
    }
    Ok(())
}

/// Whether a connection may be used again.
///
/// Where a commit fails because the disk is full, SQLite ends the transaction by itself and the connection still counts
/// it: the next transaction that is rolled back on it would never end, and lock out all others.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Answered after whatever is still to be rolled back.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Makes the file and its folder readable by their owner alone: the rows hold sealed requests and raw transactions.
fn make_private_folder(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let failed = |cause| StoreError::Folder { path: path.display().to_string(), cause };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_opens_again_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/t4t.db");
        Store::open(&path).await.unwrap().close().await;
        Store::open(&path).await.unwrap().close().await;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_reader_beside_the_owner_sees_every_market_and_writes_nothing_of_jobs() {
        let (folder, store) = crate::scene::store().await;
        store.cursor_set("reader", 1).await.unwrap();
        let path = folder.path().join("t4t.db");
        let reader = Store::open_existing(&path).await.unwrap();
        assert_eq!(reader.cursor_by_name("reader").await.unwrap(), Some(1));
        assert!(matches!(reader.cursor_set("reader", 2).await, Err(StoreError::NoMarket)));
        let missing = Store::open_existing(&folder.path().join("none.db")).await;
        assert!(missing.is_err(), "nothing is made by reading");
    }

    #[tokio::test]
    async fn in_order_there_is_one_connection_and_it_is_known_when_it_is_idle() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_in_order(&folder.path().join("t4t.db")).await.unwrap();
        let held = store.pool.acquire().await.unwrap();
        assert!(!store.is_idle());
        assert!(store.pool.try_acquire().is_none(), "whoever comes second waits");
        drop(held);
        let idle = async {
            while !store.is_idle() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BUSY_TIMEOUT, idle).await.unwrap();
    }
}
