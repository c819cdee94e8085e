//! Envelopes taken before, so that a replay does nothing, even after a restart.

use t4t_types::{Address, UnixSeconds};

use crate::codec::integer;
use crate::{Store, StoreError};

impl Store {
    /// Marks an envelope as taken; `false` means that it was taken before.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn envelope_insert(
        &self,
        sender: Address,
        nonce: &[u8; 16],
        expires_at: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let sql =
            "INSERT INTO seen_envelopes (sender, nonce, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        let done = sqlx::query(sql)
            .bind(sender.as_bytes().as_slice())
            .bind(nonce.as_slice())
            .bind(integer(expires_at.get()))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets envelopes that are too old to be taken again anyway.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn envelopes_expire(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let sql = "DELETE FROM seen_envelopes WHERE expires_at < ?";
        Ok(sqlx::query(sql).bind(integer(now.get())).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_envelope_is_taken_once_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        let store = Store::open(&path).await.unwrap();
        let (sender, nonce, expiry) = (Address::new([1; 20]), [7; 16], UnixSeconds::new(100));
        assert!(store.envelope_insert(sender, &nonce, expiry).await.unwrap());
        store.close().await;
        let store = Store::open(&path).await.unwrap();
        assert!(!store.envelope_insert(sender, &nonce, expiry).await.unwrap());
        assert!(store.envelope_insert(Address::new([2; 20]), &nonce, expiry).await.unwrap());
        assert_eq!(store.envelopes_expire(UnixSeconds::new(101)).await.unwrap(), 2);
    }
}
