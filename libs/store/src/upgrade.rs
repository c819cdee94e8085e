//! Bringing a database of an older version up to date: all of it or nothing, and a copy first.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use sqlx::migrate::Migrator;
use sqlx::{Connection, SqliteConnection};

use crate::health::free_bytes;
use crate::{Store, StoreError};

/// The schemas of all versions, one after the other.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// How often the file's size must be free: once for the copy, and once for what the changed tables take beside the old.
const TIMES_FREE: u64 = 2;

/// Brings the file to the newest schema of `migrator`. One of an older version is copied beside itself before.
pub(crate) async fn bring_up_to_date(store: &Store, migrator: &Migrator) -> Result<(), StoreError> {
    let known = newest(migrator);
    let mut connection = store.pool.acquire().await?;
    match schema_of(&mut connection).await? {
        Some(found) if found > known => return Err(StoreError::Newer { file: store.file(), found, known }),
        Some(found) if found == known => return Ok(()),
        Some(found) => keep_copy(&mut connection, &store.path, found).await?,
        None => {}
    }
    // One transaction around all of them: what fails halfway leaves the file to the older version.
    let failed = |cause| StoreError::Migration { file: store.file(), cause };
    let mut work = connection.begin_with("BEGIN IMMEDIATE").await?;
    migrator.run_direct(None, &mut *work, false).await.map_err(failed)?;
    work.commit().await?;
    Ok(())
}

/// Refuses a file of another schema than this program reads; nothing is changed.
pub(crate) async fn check_schema(store: &Store) -> Result<(), StoreError> {
    let known = newest(&MIGRATOR);
    let found = schema_of(&mut *store.pool.acquire().await?).await?.unwrap_or(0);
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(StoreError::Older { file: store.file(), found, known }),
        std::cmp::Ordering::Greater => Err(StoreError::Newer { file: store.file(), found, known }),
    }
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The schema of a file; `None` of one that was only just made.
async fn schema_of(connection: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let is_there: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    if is_there == 0 {
        return Ok(None);
    }
    Ok(sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await?)
}

/// Copies a database beside itself, as it is between two transactions, before it is brought up from a schema.
async fn keep_copy(
    connection: &mut SqliteConnection,
    database: &Path,
    schema: i64,
) -> Result<(), StoreError> {
    let copy = beside(database, &format!(".v{schema}.bak"));
    let half = beside(database, &format!(".v{schema}.bak.part"));
    let needed = size(database).saturating_mul(TIMES_FREE);
    let not_copied = |cause: Box<dyn std::error::Error + Send + Sync>| StoreError::NotCopied {
        copy: copy.display().to_string(),
        needed_mib: (needed >> 20) + 1,
        cause,
    };
    if free_bytes(database).is_some_and(|free| free < needed) {
        return Err(not_copied("there is less".into()));
    }
    let copied = async {
        let text = half.to_str().ok_or("the folder's name is no text")?;
        make_private_file(&half)?;
        sqlx::query("VACUUM INTO ?").bind(text).execute(connection).await?;
        File::open(&half)?.sync_all()?;
        std::fs::rename(&half, &copy)?;
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    };
    let copied: Result<(), Box<dyn std::error::Error + Send + Sync>> = copied.await;
    copied.map_err(|cause| {
        // What is left of it is of no use, and its room may be what is missing.
        let _left_if_it_can_not_be_removed = std::fs::remove_file(&half);
        not_copied(cause)
    })?;
    tracing::info!(copy = %copy.display(), "the database is brought up to date; it was copied before");
    Ok(())
}

/// An empty file that its owner alone reads, in place of what an earlier try left.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    Ok(())
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    name.into()
}

/// Bytes of the file and of what is not yet written back to it.
fn size(database: &Path) -> u64 {
    let len = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    len(database).saturating_add(len(&beside(database, "-wal")))
}

#[cfg(test)]
mod tests;
