//! What was bought and when: written down before the money leaves, so that no restart makes a second purchase and the
//! sum of a month has a bound.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use t4t_types::{Address, BatchId, Xbzz};
use tracing::info;

use crate::SwarmError;

/// For so long no second batch is bought after a purchase, whether it shows or not.
pub(super) const SETTLES_MS: u64 = 3_600_000;

/// For so long what was spent counts towards the monthly limit: 30 days.
const MONTH_MS: u64 = 30 * 86_400_000;

/// What money was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Purchase,
    TopUp,
}

/// One expense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Expense {
    /// When it was decided, in milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) kind: Kind,
    /// The node that pays.
    pub(super) node: Option<Address>,
    pub(super) label: String,
    pub(super) cost: Xbzz,
    /// Which batch, once that is known.
    pub(super) batch: Option<BatchId>,
}

/// The list of expenses, in a file if there is one.
#[derive(Debug)]
pub(super) struct Journal {
    file: Option<PathBuf>,
    expenses: Option<Vec<Expense>>,
}

impl Journal {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, expenses: None }
    }

    /// All expenses of the last month.
    async fn expenses(&mut self, now_ms: u64) -> Result<&mut Vec<Expense>, SwarmError> {
        if self.expenses.is_none() {
            self.expenses = Some(self.read().await?);
        }
        let expenses = self.expenses.get_or_insert_default();
        expenses.retain(|expense| expense.at_ms.saturating_add(MONTH_MS) > now_ms);
        Ok(expenses)
    }

    /// What was spent in the last month.
    pub(super) async fn spent(&mut self, now_ms: u64) -> Result<Xbzz, SwarmError> {
        let expenses = self.expenses(now_ms).await?;
        Ok(expenses.iter().fold(Xbzz::ZERO, |sum, expense| sum.saturating_add(expense.cost)))
    }

    /// The newest expense of this kind that may not show yet.
    pub(super) async fn unsettled(
        &mut self,
        kind: Kind,
        (node, label): (Option<Address>, &str),
        now_ms: u64,
    ) -> Result<Option<Expense>, SwarmError> {
        let is_it = |expense: &&Expense| {
            let is_same_node = expense.node.is_none() || node.is_none() || expense.node == node;
            let is_fresh = expense.at_ms.saturating_add(SETTLES_MS) > now_ms;
            expense.kind == kind && expense.label == label && is_same_node && is_fresh
        };
        Ok(self.expenses(now_ms).await?.iter().rev().find(is_it).cloned())
    }

    /// Writes an expense down; it is on the disk when this returns.
    pub(super) async fn begin(&mut self, expense: Expense) -> Result<(), SwarmError> {
        let now_ms = expense.at_ms;
        self.expenses(now_ms).await?.push(expense);
        let written = self.write().await;
        if written.is_err() {
            // What can't be written down does not happen.
            self.expenses(now_ms).await?.pop();
        }
        written
    }

    /// The newest expense turned out to be for this batch.
    pub(super) async fn settle(&mut self, batch: BatchId) {
        if let Some(expense) = self.expenses.as_mut().and_then(|expenses| expenses.last_mut()) {
            expense.batch = Some(batch);
        }
        self.write_again().await;
    }

    /// The newest expense was refused: nothing was spent.
    pub(super) async fn cancel(&mut self) {
        if let Some(expenses) = &mut self.expenses {
            expenses.pop();
        }
        self.write_again().await;
    }

    /// Where it fails, the file says more than was spent: that costs patience and no money.
    async fn write_again(&self) {
        if let Err(error) = self.write().await {
            info!(%error, "the list of expenses is behind");
        }
    }

    async fn read(&self) -> Result<Vec<Expense>, SwarmError> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        match tokio::fs::read(file).await {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                // Where a parser stopped is enough to know.
                self.trouble(format!("line {}, column {}", error.line(), error.column()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.trouble(error.to_string())),
        }
    }

    async fn write(&self) -> Result<(), SwarmError> {
        let (Some(file), Some(expenses)) = (self.file.clone(), &self.expenses) else { return Ok(()) };
        let text = serde_json::to_vec_pretty(expenses).expect("plain fields become JSON");
        let written = tokio::task::spawn_blocking(move || super::memory::write_safely(&file, &text)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.trouble(error.to_string())),
            Err(error) => Err(self.trouble(error.to_string())),
        }
    }

    fn trouble(&self, reason: String) -> SwarmError {
        let file = self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        SwarmError::Journal { file, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expense(at_ms: u64, plur: u128) -> Expense {
        let (kind, label) = (Kind::Purchase, "t4t".to_owned());
        Expense { at_ms, kind, node: None, label, cost: Xbzz::from_plur(plur), batch: None }
    }

    fn scratch(name: &str) -> PathBuf {
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).unwrap();
        std::env::temp_dir().join(format!("t4t-{name}-{}", hex::encode(salt)))
    }

    #[tokio::test]
    async fn an_expense_is_on_the_disk_before_it_is_made_and_counts_for_a_month() {
        let file = scratch("expenses");
        let mut journal = Journal::new(Some(file.clone()));
        journal.begin(expense(1000, 7)).await.unwrap();
        let mut read = Journal::new(Some(file.clone()));
        let found = read.unsettled(Kind::Purchase, (None, "t4t"), 1000 + SETTLES_MS - 1).await.unwrap();
        assert_eq!(found, Some(expense(1000, 7)));
        assert_eq!(read.unsettled(Kind::Purchase, (None, "t4t"), 1000 + SETTLES_MS).await.unwrap(), None);
        assert_eq!(read.unsettled(Kind::TopUp, (None, "t4t"), 1001).await.unwrap(), None);
        assert_eq!(read.unsettled(Kind::Purchase, (None, "other"), 1001).await.unwrap(), None);
        assert_eq!(read.spent(1000 + MONTH_MS - 1).await.unwrap(), Xbzz::from_plur(7));
        assert_eq!(read.spent(1000 + MONTH_MS).await.unwrap(), Xbzz::ZERO);
        journal.cancel().await;
        assert_eq!(Journal::new(Some(file.clone())).spent(1001).await.unwrap(), Xbzz::ZERO);
        std::fs::remove_file(file).unwrap();
    }

    #[tokio::test]
    async fn what_can_not_be_written_down_is_not_bought() {
        let mut journal = Journal::new(Some("/proc/none/expenses.json".into()));
        assert!(matches!(journal.begin(expense(1, 1)).await, Err(SwarmError::Journal { .. })));
        assert_eq!(journal.spent(2).await.unwrap(), Xbzz::ZERO);
        let file = scratch("torn");
        std::fs::write(&file, "[{\"atMs\":").unwrap();
        let mut torn = Journal::new(Some(file.clone()));
        assert!(matches!(torn.begin(expense(1, 1)).await, Err(SwarmError::Journal { .. })));
        std::fs::remove_file(file).unwrap();
    }
}
