//! Keys of providers that more than one endpoint of the chain has named.

use t4t_types::{Address, EncryptionKey};

use crate::codec::Columns;
use crate::{Store, StoreError};

impl Store {
    /// Keeps a provider's key in place of the one before.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn confirmed_keys_set(
        &self,
        registry: Address,
        keys: &[(Address, EncryptionKey)],
    ) -> Result<(), StoreError> {
        let mut change = self.pool.begin().await?;
        let sql = "INSERT INTO confirmed_keys (registry, provider, key) VALUES (?, ?, ?) \
                   ON CONFLICT (registry, provider) DO UPDATE SET key = excluded.key";
        for (provider, key) in keys {
            sqlx::query(sql)
                .bind(registry.as_bytes().as_slice())
                .bind(provider.as_bytes().as_slice())
                .bind(key.as_bytes().as_slice())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// All that is kept of a registry's providers.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn confirmed_keys_list(
        &self,
        registry: Address,
    ) -> Result<Vec<(Address, EncryptionKey)>, StoreError> {
        let rows = sqlx::query("SELECT provider, key FROM confirmed_keys WHERE registry = ?")
            .bind(registry.as_bytes().as_slice())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((row.address("provider")?, row.id("key")?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_confirmed_key_outlives_a_restart_and_a_newer_one_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        let (registry, other, provider) =
            (Address::new([1; 20]), Address::new([2; 20]), Address::new([3; 20]));
        let store = Store::open(&path).await.unwrap();
        for byte in [4, 5] {
            store.confirmed_keys_set(registry, &[(provider, EncryptionKey::new([byte; 32]))]).await.unwrap();
        }
        store.close().await;
        let store = Store::open(&path).await.unwrap();
        let kept = store.confirmed_keys_list(registry).await.unwrap();
        assert_eq!(kept, [(provider, EncryptionKey::new([5; 32]))]);
        assert!(store.confirmed_keys_list(other).await.unwrap().is_empty());
    }
}
