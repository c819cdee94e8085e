//! Where clients asked to have their answers announced.

use sqlx::Row;
use t4t_types::{Address, EncryptionKey, Overlay, SwarmRef};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

/// Where to announce the answer to one request, by the client's own signed word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who signed it.
    pub client: Address,
    /// The request it is about.
    pub request_hash: SwarmRef,
    /// The key it named; the answer is sealed to the one inside the request, which must be the same.
    pub client_key: EncryptionKey,
    /// The client's node in Swarm.
    pub client_overlay: Overlay,
    /// A URL to send messages to, if it named one.
    pub reply_url: Option<String>,
}

impl Store {
    /// Keeps a notice; the first one of a client for a request stays.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn notice_insert(&self, notice: &Notice, received_at_ms: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO notices (market, client, request_hash, client_key, client_overlay, reply_url, \
                   received_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(self.market()?)
            .bind(notice.client.as_bytes().as_slice())
            .bind(notice.request_hash.as_bytes().as_slice())
            .bind(notice.client_key.as_bytes().as_slice())
            .bind(notice.client_overlay.as_bytes().as_slice())
            .bind(&notice.reply_url)
            .bind(integer(received_at_ms))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// A client's notice for a request.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn notice_by_request(
        &self,
        client: Address,
        request_hash: SwarmRef,
    ) -> Result<Option<Notice>, StoreError> {
        let sql =
            "SELECT * FROM notices WHERE client = ? AND request_hash = ? AND market = coalesce(?, market)";
        let row = sqlx::query(sql)
            .bind(client.as_bytes().as_slice())
            .bind(request_hash.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Notice {
            client: row.address("client")?,
            request_hash: row.id("request_hash")?,
            client_key: row.id("client_key")?,
            client_overlay: row.id("client_overlay")?,
            reply_url: row.try_get("reply_url")?,
        }))
    }

    /// Forgets notices, of whatever market, received before `before_ms`.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn notices_expire(&self, before_ms: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM notices WHERE received_at < ?";
        Ok(sqlx::query(sql).bind(integer(before_ms)).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::store;

    #[tokio::test]
    async fn a_clients_first_notice_stays_until_it_is_old() {
        let (_folder, store) = store().await;
        let first = Notice {
            client: Address::new([1; 20]),
            request_hash: SwarmRef::new([2; 32]),
            client_key: EncryptionKey::new([3; 32]),
            client_overlay: Overlay::new([4; 32]),
            reply_url: None,
        };
        let second = Notice { client_overlay: Overlay::new([9; 32]), ..first.clone() };
        store.notice_insert(&first, 100).await.unwrap();
        store.notice_insert(&second, 200).await.unwrap();
        let of = |client| store.notice_by_request(client, first.request_hash);
        assert_eq!(of(first.client).await.unwrap(), Some(first.clone()), "nobody moves it later");
        assert_eq!(of(Address::new([7; 20])).await.unwrap(), None, "another client's is not its own");
        assert_eq!(store.notices_expire(100).await.unwrap(), 0);
        assert_eq!(store.notices_expire(101).await.unwrap(), 1);
        assert_eq!(of(first.client).await.unwrap(), None);
    }
}
