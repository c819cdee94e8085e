//! How far each reader of the chain's events has come.

use sqlx::Row;

use crate::codec::integer;
use crate::{Store, StoreError};

impl Store {
    /// The block up to which the named reader has come.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn cursor_by_name(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT block FROM cursors WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let block: i64 = row.try_get("block")?;
        u64::try_from(block).map(Some).map_err(|_| StoreError::Damaged { column: "block" })
    }

    /// Moves the named reader's cursor, forwards or (after a reorg) backwards.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn cursor_set(&self, name: &str, block: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO cursors (name, block) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET block = excluded.block";
        sqlx::query(sql).bind(name).bind(integer(block)).execute(&self.pool).await?;
        Ok(())
    }
}
