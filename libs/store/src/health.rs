//! Whether the database can be relied on: at the start, and while there is work to take on.

use std::path::Path;

use crate::{Store, StoreError};

/// With less room than this no new work is taken on: what is left is for bringing open work to its end.
const LEAST_FREE_BYTES: u64 = 64 << 20;

/// The cursor that says whether anything can be written.
const PROBE: &str = "probe";

impl Store {
    /// Whether new work can be taken on: there is room on the disk, and what is written stays. Costs a commit.
    ///
    /// # Errors
    /// Why not, with what to do about it.
    pub async fn may_take_work(&self) -> Result<(), StoreError> {
        self.has_room()?;
        self.cursor_set(PROBE, 0).await
    }

    /// Whether there is room on the disk for new work.
    ///
    /// # Errors
    /// There is not.
    pub fn has_room(&self) -> Result<(), StoreError> {
        match free_bytes(&self.path) {
            Some(free) if free < LEAST_FREE_BYTES => Err(StoreError::DiskNearlyFull { free_mib: free >> 20 }),
            // Where the system does not say, writing will tell.
            _ => Ok(()),
        }
    }

    /// Reads the whole file for damage, so that nobody acts on rows that were never written.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let story: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.pool).await?;
        if story == "ok" { Ok(()) } else { Err(StoreError::Corrupt { story }) }
    }
}

/// Bytes that this process may still write to the disk of a file.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(debug_assertions)]
    if let Some(free) = pretended::free_bytes() {
        return Some(free);
    }
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// A disk that is nearly full, for tests: in builds with debug assertions, the file that `DISK_FREE_FILE` names holds
/// the bytes that are left, and may come, change and go at any time.
#[cfg(debug_assertions)]
mod pretended {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("DISK_FREE_FILE").map(PathBuf::from));

    pub(super) fn free_bytes() -> Option<u64> {
        std::fs::read_to_string(FILE.as_ref()?).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_damaged_database_is_not_opened_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        Store::open(&path).await.unwrap().close().await;
        let good = std::fs::read(&path).unwrap();
        for damaged in [0..16, 5 * 4096..6 * 4096, 100..108] {
            let mut bytes = good.clone();
            bytes[damaged.clone()].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
            let error = Store::open(&path).await.expect_err("a damaged file");
            assert!(matches!(error, StoreError::Corrupt { .. }), "{damaged:?}: {error:?}");
            assert!(error.to_string().contains("put a copy of t4t.db back"), "{error}");
        }
        std::fs::write(&path, good).unwrap();
        let store = Store::open(&path).await.unwrap();
        store.for_market(crate::scene::MARKET).await.unwrap().may_take_work().await.unwrap();
    }
}
