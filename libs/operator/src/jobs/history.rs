//! All that is known about one job.

use std::path::Path;

use serde::Serialize;
use t4t_store::HistoryEntry;
use t4t_store::transactions::TransactionRecord;
use t4t_types::Xbzz;

use super::JobsError;
use super::databases::{Databases, settlements};
use super::meaning;
use super::row::JobRow;
use crate::text::xdai;

/// A job, what happened to it, what it cost and which transactions it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobHistory {
    /// The job, as lists show it.
    #[serde(flatten)]
    pub row: JobRow,
    /// What its state means.
    pub meaning: &'static str,
    /// What it cost.
    pub cost: Cost,
    /// What happened, the oldest first.
    pub history: Vec<HistoryEntry>,
    /// The wallet's transactions about it.
    pub transactions: Vec<TransactionRecord>,
}

/// What a job cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// What went into escrow; `None` if nothing did.
    pub escrow: Option<Xbzz>,
    /// What the provider got, once known.
    pub paid: Option<Xbzz>,
    /// What came back to the client, once known.
    pub refunded: Option<Xbzz>,
    /// What this wallet's transactions cost, in xDAI, as far as their receipts are known.
    pub gas_xdai: String,
    /// Transactions of which that is not known yet.
    pub gas_unknown: usize,
}

impl Cost {
    fn of(row: &JobRow, transactions: &[TransactionRecord]) -> Self {
        let is_over = !meaning::is_open(&row.state);
        let is_in_escrow = row.job.is_some();
        let gives_back = matches!(row.state.as_str(), "refused" | "cancelled" | "timed_out");
        let paid = row.paid.or((is_over && gives_back).then_some(Xbzz::ZERO));
        let fees: Vec<u128> = transactions.iter().filter_map(TransactionRecord::fee).collect();
        Self {
            escrow: is_in_escrow.then_some(row.max_payment),
            paid,
            refunded: paid
                .filter(|_| is_in_escrow && is_over)
                .map(|paid| row.max_payment.saturating_sub(paid)),
            gas_xdai: xdai(fees.iter().fold(0, |sum: u128, fee| sum.saturating_add(*fee))),
            gas_unknown: transactions.len() - fees.len(),
        }
    }
}

impl JobHistory {
    /// Reads what happened to a job.
    pub(super) async fn read(databases: &Databases, database: &Path, row: JobRow) -> Result<Self, JobsError> {
        let store = databases.open(database).await?;
        let subject = match (row.request, row.job) {
            (Some(request), _) => Some(*request.as_bytes()),
            (None, job) => job.map(|job| *job.as_bytes()),
        };
        let history = match subject {
            Some(subject) => store.history_by_subject(row.side, &subject).await?,
            None => Vec::new(),
        };
        let apart = settlements(database);
        let request = row.request.zip(row.attempt);
        let transactions = if apart.exists() {
            let settlement = databases.open(&apart).await?;
            let transactions = settlement.transactions_about(request, row.job).await?;
            settlement.close().await;
            transactions
        } else {
            store.transactions_about(request, row.job).await?
        };
        store.close().await;
        let cost = Cost::of(&row, &transactions);
        Ok(Self { meaning: meaning::of(row.side, &row.state), cost, row, history, transactions })
    }
}
