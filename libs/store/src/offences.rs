//! What this gateway knows of providers: usable answers, and payments taken for what was no answer.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::Address;

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

/// What is held against a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offences {
    /// Who did it.
    pub provider: Address,
    /// How often.
    pub times: u32,
    /// Nothing is bought from it before then, in milliseconds since 1970.
    pub barred_until_ms: u64,
}

impl Store {
    /// Keeps what is held against a provider.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn offences_set(&self, offences: Offences) -> Result<(), StoreError> {
        let sql = "INSERT INTO offences (provider, times, barred_until) VALUES (?, ?, ?) \
                   ON CONFLICT (provider) DO UPDATE SET times = excluded.times, barred_until = excluded.barred_until";
        sqlx::query(sql)
            .bind(offences.provider.as_bytes().as_slice())
            .bind(i64::from(offences.times))
            .bind(integer(offences.barred_until_ms))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// All that is held against providers.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn offences_list(&self) -> Result<Vec<Offences>, StoreError> {
        let sql = "SELECT provider, times, barred_until FROM offences";
        sqlx::query(sql).fetch_all(&self.pool).await?.iter().map(read).collect()
    }
}

impl Store {
    /// Keeps how many usable answers a provider gave.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn experience_set(&self, provider: Address, answered: u32) -> Result<(), StoreError> {
        let sql = "INSERT INTO experience (provider, answered) VALUES (?, ?) \
                   ON CONFLICT (provider) DO UPDATE SET answered = excluded.answered";
        let provider = provider.as_bytes().as_slice();
        sqlx::query(sql).bind(provider).bind(i64::from(answered)).execute(&self.pool).await?;
        Ok(())
    }

    /// How many usable answers each provider gave.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn experience_list(&self) -> Result<Vec<(Address, u32)>, StoreError> {
        let rows = sqlx::query("SELECT provider, answered FROM experience").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let answered: i64 = row.try_get("answered")?;
            Ok((row.address("provider")?, u32::try_from(answered).unwrap_or(u32::MAX)))
        };
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<Offences, StoreError> {
    let times: i64 = row.try_get("times")?;
    Ok(Offences {
        provider: row.address("provider")?,
        times: u32::try_from(times).unwrap_or(u32::MAX),
        barred_until_ms: row.count("barred_until")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_held_against_a_provider_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        let store = Store::open(&path).await.unwrap();
        let mut offences = Offences { provider: Address::new([1; 20]), times: 1, barred_until_ms: 5 };
        store.offences_set(offences).await.unwrap();
        (offences.times, offences.barred_until_ms) = (2, 9);
        store.offences_set(offences).await.unwrap();
        store.close().await;
        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.offences_list().await.unwrap(), [offences]);
    }

    #[tokio::test]
    async fn what_providers_answered_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        let store = Store::open(&path).await.unwrap();
        for answered in [1, 2] {
            store.experience_set(Address::new([1; 20]), answered).await.unwrap();
        }
        store.close().await;
        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.experience_list().await.unwrap(), [(Address::new([1; 20]), 2)]);
    }
}
