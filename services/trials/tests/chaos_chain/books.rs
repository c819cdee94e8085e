//! What the databases call paid, watched while the chain goes back and forth.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use t4t_chain::contracts::JobStatus;
use t4t_protocol::job::{BuyingState, SellingState};
use t4t_store::Store;
use t4t_testkit::ledger::Ledger;
use t4t_testkit::processes::Scene;
use t4t_types::{JobId, Xbzz};

use crate::asking::pause;

/// How often the books are looked at.
const EVERY: Duration = Duration::from_millis(400);

/// More rows than a scenario has.
const ALL: u32 = 1000;

/// The books of both sides.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    ledger: Ledger,
    buying: PathBuf,
    selling: PathBuf,
}

impl Books {
    pub(crate) fn of(scene: &Scene) -> Self {
        let (buying, selling) = (scene.gateway.database.clone(), scene.provider.database.clone());
        Self { ledger: scene.world.ledger(), buying, selling }
    }

    /// Plays a scenario and returns beside its end the longest time for which a row said paid and the chain did not.
    pub(crate) async fn watched<T>(&self, scenario: impl Future<Output = T>) -> (T, Duration) {
        let mut longest = Duration::ZERO;
        let end = tokio::select! {
            end = scenario => end,
            never = self.watch(&mut longest) => match never {},
        };
        (end, longest)
    }

    async fn watch(&self, longest: &mut Duration) -> std::convert::Infallible {
        let mut wrong_since: Option<Instant> = None;
        loop {
            pause(EVERY).await;
            // What can't be read now, because a process is writing, is read again.
            match self.is_too_rosy().await {
                Ok(true) => {
                    let since = *wrong_since.get_or_insert_with(Instant::now);
                    *longest = since.elapsed().max(*longest);
                }
                Ok(false) => wrong_since = None,
                Err(_) => {}
            }
        }
    }

    /// Whether a row says that a job was paid which was not.
    async fn is_too_rosy(&self) -> anyhow::Result<bool> {
        // First the rows: what is claimed between both readings is in order.
        let mut paid = paid_by_buyer(&self.buying).await?;
        paid.extend(paid_to_seller(&self.selling).await?);
        let jobs: HashMap<JobId, JobStatus> =
            self.ledger.jobs().await?.into_iter().map(|job| (job.job, job.status)).collect();
        Ok(paid.iter().any(|job| jobs.get(job) != Some(&JobStatus::Claimed)))
    }
}

fn is_money(paid: Option<Xbzz>) -> bool {
    paid.is_some_and(|paid| !paid.is_zero())
}

async fn paid_by_buyer(database: &Path) -> anyhow::Result<Vec<JobId>> {
    let store = Store::open_existing(database).await?;
    let rows = store.buying_list_recent(ALL).await;
    store.close().await;
    let paid = rows?.into_iter().filter(|row| row.state == BuyingState::Claimed || is_money(row.paid));
    Ok(paid.filter_map(|row| row.job).collect())
}

async fn paid_to_seller(database: &Path) -> anyhow::Result<Vec<JobId>> {
    let store = Store::open_existing(database).await?;
    let rows = store.selling_list_recent(ALL).await;
    store.close().await;
    let paid = rows?.into_iter().filter(|row| row.state == SellingState::Claimed || is_money(row.paid));
    Ok(paid.map(|row| row.job).collect())
}
