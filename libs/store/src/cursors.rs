//! How far each reader of a market's events on the chain has come.

use sqlx::{Row, SqliteConnection};

use crate::codec::integer;
use crate::{Store, StoreError};

impl Store {
    /// The block up to which the named reader has come.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn cursor_by_name(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT block FROM cursors WHERE name = ? AND market = coalesce(?, market)")
            .bind(name)
            .bind(self.market)
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
        let mut connection = self.pool.acquire().await?;
        set(&mut connection, self.market()?, (name, block)).await
    }
}

/// Also part of the transaction that stores what was read.
pub(crate) async fn set(
    connection: &mut SqliteConnection,
    market: i64,
    (name, block): (&str, u64),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (market, name, block) VALUES (?, ?, ?) \
               ON CONFLICT (name, market) DO UPDATE SET block = excluded.block";
    sqlx::query(sql).bind(market).bind(name).bind(integer(block)).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::scene::store;

    #[tokio::test]
    async fn a_cursor_moves_forwards_and_back() {
        let (_folder, store) = store().await;
        assert_eq!(store.cursor_by_name("reader").await.unwrap(), None);
        for block in [7, 9, 8] {
            store.cursor_set("reader", block).await.unwrap();
            assert_eq!(store.cursor_by_name("reader").await.unwrap(), Some(block));
        }
        assert_eq!(store.cursor_by_name("another").await.unwrap(), None);
    }
}
