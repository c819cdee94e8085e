//! What happened to a job when, for people who ask.

use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

/// Which side of the market a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The gateway's.
    Buying,
    /// The provider's.
    Selling,
}

impl Side {
    /// Its name, as rows and logs have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buying => "buying",
            Self::Selling => "selling",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What, in a word or two.
    pub event: String,
    /// More about it; may be empty. Never a prompt or an answer.
    pub detail: String,
}

/// One thing that happened, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHistoryEntry {
    /// On which side.
    pub side: Side,
    /// The request id on the buying side, the job id on the selling side.
    pub subject: [u8; 32],
    /// What happened.
    pub entry: HistoryEntry,
}

impl Store {
    /// Notes what happened to requests (buying) and jobs (selling), all in one commit.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn history_insert_all(&self, entries: &[NewHistoryEntry]) -> Result<(), StoreError> {
        let market = self.market()?;
        let mut transaction = self.pool.begin().await?;
        for NewHistoryEntry { side, subject, entry } in entries {
            let sql = "INSERT INTO job_history (market, side, subject, at, event, detail) VALUES (?, ?, ?, ?, ?, ?)";
            sqlx::query(sql)
                .bind(market)
                .bind(side.as_str())
                .bind(subject.as_slice())
                .bind(integer(entry.at_ms))
                .bind(&entry.event)
                .bind(&entry.detail)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets what happened, in whatever market, before `before_ms`.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn history_expire(&self, before_ms: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM job_history WHERE at < ?";
        Ok(sqlx::query(sql).bind(integer(before_ms)).execute(&self.pool).await?.rows_affected())
    }

    /// What happened to a request or job, oldest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn history_by_subject(
        &self,
        side: Side,
        subject: &[u8; 32],
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let sql = "SELECT at, event, detail FROM job_history WHERE side = ? AND subject = ? \
                   AND market = coalesce(?, market) ORDER BY id LIMIT 1000";
        let rows = sqlx::query(sql)
            .bind(side.as_str())
            .bind(subject.as_slice())
            .bind(self.market)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(HistoryEntry {
                    at_ms: row.count("at")?,
                    event: row.try_get("event")?,
                    detail: row.try_get("detail")?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::store;

    #[tokio::test]
    async fn what_happened_is_told_in_its_order_to_the_side_that_it_happened_to() {
        let (_folder, store) = store().await;
        let new = |side, event: &str, at_ms| NewHistoryEntry {
            side,
            subject: [1; 32],
            entry: HistoryEntry { at_ms, event: event.into(), detail: "more".into() },
        };
        let entries = [
            new(Side::Buying, "planned", 5),
            new(Side::Selling, "accepted", 6),
            new(Side::Buying, "posted", 5),
        ];
        store.history_insert_all(&entries).await.unwrap();
        let told = store.history_by_subject(Side::Buying, &[1; 32]).await.unwrap();
        assert_eq!(told, [entries[0].entry.clone(), entries[2].entry.clone()]);
        assert!(store.history_by_subject(Side::Buying, &[2; 32]).await.unwrap().is_empty());
        assert_eq!(store.history_expire(6).await.unwrap(), 2);
        assert_eq!(store.history_by_subject(Side::Selling, &[1; 32]).await.unwrap().len(), 1);
    }
}
