//! Whose jobs are shown: a database may hold those of several markets.

use std::path::{Path, PathBuf};

use t4t_store::{KnownMarket, Market, Store};

use super::JobsError;

/// The market that the settings name, where they name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Configured(pub(super) Option<Market>);

impl Configured {
    /// Opens a database as the configured market's; one that knows a single market as that market's, whichever it is.
    pub(super) async fn open(self, database: &Path) -> Result<Store, JobsError> {
        let store = open(database).await?;
        let known = store.markets_list().await?;
        if known.len() <= 1 {
            return Ok(store);
        }
        match self.0.filter(|market| known.iter().any(|known| known.market == Some(*market))) {
            Some(market) => Ok(store.in_market(market).await?),
            None => {
                let markets: Vec<String> = known.iter().map(name).collect();
                Err(JobsError::SeveralMarkets { database: database.to_owned(), markets: markets.join(", ") })
            }
        }
    }

    /// What to say of the markets that the databases have jobs of beside the configured one.
    pub(super) async fn notes(self, databases: &[PathBuf]) -> Result<Vec<String>, JobsError> {
        let mut notes = Vec::new();
        for database in databases {
            let store = open(database).await?;
            let known = store.markets_list().await?;
            store.close().await;
            notes.extend(self.notes_of(&known));
        }
        Ok(notes)
    }

    fn notes_of(self, known: &[KnownMarket]) -> Vec<String> {
        let Some(configured) = self.0 else { return Vec::new() };
        let others = known.iter().filter(|known| known.jobs > 0 && known.market != Some(configured));
        let told = |other: &KnownMarket| {
            let (jobs, market) = (other.jobs, name(other));
            if known.len() == 1 {
                format!("these are jobs of {market}; the settings name {configured}")
            } else {
                format!("{jobs} more of {market} are not shown: name it with ESCROW_ADDRESS and T4T_CHAIN_ID")
            }
        };
        others.map(told).collect()
    }
}

async fn open(database: &Path) -> Result<Store, JobsError> {
    let opened = Store::open_existing(database).await;
    opened.map_err(|source| JobsError::Open { database: database.to_owned(), source })
}

fn name(known: &KnownMarket) -> String {
    known.market.map_or_else(|| "an older version".to_owned(), |market| market.to_string())
}

#[cfg(test)]
mod tests {
    use t4t_types::Address;

    use super::*;

    const OURS: Market = Market { chain_id: 100, escrow: Address::new([1; 20]) };
    const OTHER: Market = Market { chain_id: 100, escrow: Address::new([2; 20]) };

    #[tokio::test]
    async fn a_database_of_several_markets_is_shown_as_the_configured_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t4t.db");
        let ours = Store::open_for(&path, OURS).await.unwrap();
        ours.cursor_set("reader", 1).await.unwrap();
        let alone = Configured(Some(OTHER)).open(&path).await.unwrap();
        assert_eq!(
            alone.cursor_by_name("reader").await.unwrap(),
            Some(1),
            "there is no other to mix it up with"
        );

        let other = ours.for_market(OTHER).await.unwrap();
        other.cursor_set("reader", 2).await.unwrap();
        for (market, block) in [(OURS, 1), (OTHER, 2)] {
            let store = Configured(Some(market)).open(&path).await.unwrap();
            assert_eq!(store.cursor_by_name("reader").await.unwrap(), Some(block));
        }
        let nowhere = Configured(Some(Market { chain_id: 1, ..OURS })).open(&path).await.unwrap_err();
        assert!(nowhere.to_string().contains("ESCROW_ADDRESS"), "{nowhere}");
    }

    #[test]
    fn jobs_of_another_market_are_told_of() {
        let known = |market, jobs| KnownMarket { market: Some(market), jobs };
        let notes = |known: &[KnownMarket]| Configured(Some(OURS)).notes_of(known).join("; ");
        assert_eq!(notes(&[known(OURS, 3)]), "");
        assert_eq!(notes(&[known(OURS, 3), known(OTHER, 0)]), "");
        assert!(notes(&[known(OURS, 3), known(OTHER, 2)]).contains("2 more of escrow"));
        assert!(notes(&[known(OTHER, 2)]).contains("these are jobs of escrow"));
    }
}
