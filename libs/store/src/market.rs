//! Markets: the rows of one are never another's, whatever numbers they have.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::Address;

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

/// Where jobs' money lies. A job's number is unique there and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Market {
    /// The chain's id.
    pub chain_id: u64,
    /// The contract that holds the money.
    pub escrow: Address,
}

/// A market that the database knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownMarket {
    /// Which; `None` for rows of an older version that no market was asked for since.
    pub market: Option<Market>,
    /// How many jobs were bought and sold in it.
    pub jobs: u64,
}

impl std::fmt::Display for Market {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "escrow {} on chain {}", self.escrow, self.chain_id)
    }
}

impl Store {
    /// The same database, for one market: what is written belongs to it, and nothing else is read. Rows of an older
    /// version, which did not say, belong to the first market that is asked for.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn for_market(&self, market: Market) -> Result<Self, StoreError> {
        let (chain_id, escrow) = (integer(market.chain_id), market.escrow.as_bytes().as_slice());
        // Each statement holds by itself, so that another process may do the same.
        for sql in [
            "UPDATE OR IGNORE markets SET chain_id = ?, escrow = ? WHERE chain_id IS NULL",
            "INSERT OR IGNORE INTO markets (chain_id, escrow) VALUES (?, ?)",
        ] {
            sqlx::query(sql).bind(chain_id).bind(escrow).execute(&self.pool).await?;
        }
        self.in_market(market).await
    }

    /// The same as [`Self::for_market`], for reading: a market that has no rows gets no name here.
    ///
    /// # Errors
    /// The database can't be used, or has no rows of the market.
    pub async fn in_market(&self, market: Market) -> Result<Self, StoreError> {
        let row = sqlx::query("SELECT id FROM markets WHERE chain_id = ? AND escrow = ?")
            .bind(integer(market.chain_id))
            .bind(market.escrow.as_bytes().as_slice())
            .fetch_optional(&self.pool)
            .await?;
        let id = row.ok_or(StoreError::NoMarket)?.try_get("id")?;
        Ok(Self { market: Some(id), ..self.clone() })
    }

    /// The markets that the database knows, the newest last.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn markets_list(&self) -> Result<Vec<KnownMarket>, StoreError> {
        let sql = "SELECT chain_id, escrow, (SELECT count(*) FROM buying_jobs b WHERE b.market = m.id) \
                   + (SELECT count(*) FROM selling_jobs s WHERE s.market = m.id) AS jobs \
                   FROM markets m ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let market = match row.maybe_count("chain_id")? {
                Some(chain_id) => Some(Market { chain_id, escrow: row.address("escrow")? }),
                None => None,
            };
            Ok(KnownMarket { market, jobs: row.count("jobs")? })
        };
        rows.iter().map(read).collect()
    }

    /// The market that what is written belongs to.
    pub(crate) fn market(&self) -> Result<i64, StoreError> {
        self.market.ok_or(StoreError::NoMarket)
    }
}

#[cfg(test)]
mod tests;
