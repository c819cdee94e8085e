//! The databases of a data folder.

use std::path::{Path, PathBuf};

use t4t_runtime::config::DataSettings;
use t4t_store::{Market, Side, Store};

use super::JobsError;
use super::market::Configured;
use super::row::JobRow;

/// Where `t4t dev` keeps each role's.
const ROLES: [&str; 2] = ["gateway", "provider"];

/// The databases of a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Databases {
    paths: Vec<PathBuf>,
    market: Configured,
}

impl Databases {
    /// The folder's own database, or those of the two roles in it (as `t4t dev` keeps them); of one that holds the jobs of
    /// several markets, those of `market`.
    ///
    /// # Errors
    /// There is none.
    pub fn find(folder: &Path, market: Option<Market>) -> Result<Self, JobsError> {
        let places = std::iter::once(folder.to_owned()).chain(ROLES.map(|role| folder.join(role)));
        let found: Vec<_> =
            places.map(|place| place.join(DataSettings::DATABASE)).filter(|path| path.exists()).collect();
        if found.is_empty() {
            return Err(JobsError::NoDatabase {
                database: DataSettings::DATABASE,
                folder: folder.to_owned(),
            });
        }
        Ok(Self { paths: found, market: Configured(market) })
    }

    /// Opens one of them, as the configured market's.
    pub(super) async fn open(&self, database: &Path) -> Result<Store, JobsError> {
        self.market.open(database).await
    }

    /// What to say of the markets that they have jobs of beside the configured one.
    ///
    /// # Errors
    /// A database can't be opened or read.
    pub async fn notes(&self) -> Result<Vec<String>, JobsError> {
        self.market.notes(&self.paths).await
    }

    /// The newest rows of each, the newest of all first, and whose they are.
    pub(super) async fn rows(
        &self,
        side: Option<Side>,
        limit: u32,
    ) -> Result<Vec<(PathBuf, JobRow)>, JobsError> {
        let mut rows = Vec::new();
        for path in &self.paths {
            let store = self.open(path).await?;
            if side != Some(Side::Selling) {
                let bought = store.buying_list_recent(limit).await?;
                rows.extend(bought.iter().map(|job| (path.clone(), JobRow::bought(job))));
            }
            if side != Some(Side::Buying) {
                let sold = store.selling_list_recent(limit).await?;
                rows.extend(sold.iter().map(|job| (path.clone(), JobRow::sold(job))));
            }
            store.close().await;
        }
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.created_at_ms));
        Ok(rows)
    }

    /// The keys of the transactions whose hash begins with these digits.
    pub(super) async fn transaction_keys(&self, digits: &str) -> Result<Vec<String>, JobsError> {
        let mut keys = Vec::new();
        for path in &self.paths {
            for path in [path.clone(), settlements(path)].iter().filter(|path| path.exists()) {
                let store = self.open(path).await?;
                keys.extend(store.transaction_keys_by_hash(digits).await?);
                store.close().await;
            }
        }
        Ok(keys)
    }
}

/// Where the transactions are, when settlement is a process of its own.
pub(super) fn settlements(database: &Path) -> PathBuf {
    database.with_file_name(DataSettings::SETTLEMENT_DATABASE)
}
