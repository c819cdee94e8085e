//! What this gateway knows of providers: usable answers, and payments taken for what was no answer.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::{Address, Xbzz};

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

/// What a provider answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experience {
    /// The provider.
    pub provider: Address,
    /// Usable answers, up to a point.
    pub answered: u32,
    /// Input and output price together, per million tokens, at which they were given.
    pub price: Xbzz,
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
    /// Keeps what a provider answered.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn experience_set(&self, experience: Experience) -> Result<(), StoreError> {
        let sql = "INSERT INTO experience (provider, answered, price) VALUES (?, ?, ?) \
                   ON CONFLICT (provider) DO UPDATE SET answered = excluded.answered, price = excluded.price";
        sqlx::query(sql)
            .bind(experience.provider.as_bytes().as_slice())
            .bind(i64::from(experience.answered))
            .bind(experience.price.to_be_bytes().to_vec())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What each provider answered.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn experience_list(&self) -> Result<Vec<Experience>, StoreError> {
        let rows =
            sqlx::query("SELECT provider, answered, price FROM experience").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let answered: i64 = row.try_get("answered")?;
            Ok(Experience {
                provider: row.address("provider")?,
                answered: u32::try_from(answered).unwrap_or(u32::MAX),
                price: row.amount("price")?,
            })
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
        let mut experience =
            Experience { provider: Address::new([1; 20]), answered: 1, price: Xbzz::from_plur(7) };
        store.experience_set(experience).await.unwrap();
        (experience.answered, experience.price) = (2, Xbzz::from_plur(5));
        store.experience_set(experience).await.unwrap();
        store.close().await;
        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.experience_list().await.unwrap(), [experience]);
    }
}
