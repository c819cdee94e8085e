//! All that is known about one job.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use t4t_runtime::config::DataSettings;
use t4t_store::transactions::TransactionRecord;
use t4t_store::{HistoryEntry, Side, Store};
use t4t_terminal::output::{Table, utc, xdai};
use t4t_types::Xbzz;

use super::meaning;
use super::row::JobRow;

/// A job, what happened to it, what it cost and which transactions it took.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    row: JobRow,
    meaning: &'static str,
    cost: Cost,
    history: Vec<HistoryEntry>,
    transactions: Vec<TransactionRecord>,
}

/// What a job cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Cost {
    /// What went into escrow; `None` if nothing did.
    escrow: Option<Xbzz>,
    /// What the provider got, once known.
    paid: Option<Xbzz>,
    /// What came back to the client, once known.
    refunded: Option<Xbzz>,
    /// What this wallet's transactions cost, in xDAI, as far as their receipts are known.
    gas_xdai: String,
    /// Transactions of which that is not known yet.
    gas_unknown: usize,
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

impl Detail {
    /// Reads what happened to a job.
    pub(crate) async fn read(database: &Path, row: JobRow) -> anyhow::Result<Self> {
        let store = open(database).await?;
        let subject = match (row.request, row.job) {
            (Some(request), _) => Some(*request.as_bytes()),
            (None, job) => job.map(|job| *job.as_bytes()),
        };
        let history = match subject {
            Some(subject) => store.history_by_subject(row.side, &subject).await?,
            None => Vec::new(),
        };
        let apart = database.with_file_name(DataSettings::SETTLEMENT_DATABASE);
        let request = row.request.zip(row.attempt);
        let transactions = if apart.exists() {
            let settlement = open(&apart).await?;
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

    /// What is shown to people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}: {}", self.row.side_name(), self.row.state, self.meaning)];
        lines.extend(self.facts());
        lines.push(String::new());
        lines.extend(self.events());
        if !self.transactions.is_empty() {
            lines.push(String::new());
            lines.extend(self.transaction_lines());
        }
        lines.push(String::new());
        lines
    }

    fn facts(&self) -> Vec<String> {
        let (row, cost) = (&self.row, &self.cost);
        let mut table = Table::bare();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                table.row([name.to_owned(), value]);
            }
        };
        let xbzz = |amount: Xbzz| format!("{amount} xBZZ");
        add("reason", row.reason.clone());
        add("model", Some(row.model.clone()));
        add(if row.side == Side::Buying { "provider" } else { "client" }, Some(row.with.to_string()));
        add("job", row.job.map(|job| job.to_string()));
        let attempt = row.attempt.unwrap_or_default();
        add("request", row.request.map(|request| format!("{request}, attempt {attempt}")));
        add("routing id", Some(row.routing.to_string()));
        add("sealed request", Some(row.request_hash.to_string()));
        add("sealed answer", row.response_hash.map(|hash| hash.to_string()));
        let prices = row.prices;
        add("prices", Some(format!("{} in, {} out, xBZZ per million tokens", prices.input, prices.output)));
        add("tokens", row.usage.map(|usage| format!("{} in, {} out", usage.prompt, usage.completion)));
        add("in escrow", Some(cost.escrow.map_or_else(|| "nothing".to_owned(), xbzz)));
        add("paid", cost.paid.map(|paid| format!("{paid} xBZZ ({} PLUR)", paid.plur())));
        add("came back", cost.refunded.map(xbzz));
        let open = match cost.gas_unknown {
            0 => String::new(),
            unknown => format!(", and that of {unknown} without a receipt"),
        };
        add("gas", (!self.transactions.is_empty()).then(|| format!("{} xDAI{open}", cost.gas_xdai)));
        table.lines()
    }

    fn events(&self) -> Vec<String> {
        let begun = self.history.first().map_or(self.row.created_at_ms, |entry| entry.at_ms);
        let mut table = Table::new(["TIME (UTC)", "AFTER", "EVENT", "DETAIL"]);
        for HistoryEntry { at_ms, event, detail } in &self.history {
            let after = at_ms.saturating_sub(begun);
            let after = format!("{}.{:03} s", after / 1000, after % 1000);
            table.row([utc(*at_ms), after, event.clone(), detail.clone()]);
        }
        table.lines()
    }

    fn transaction_lines(&self) -> Vec<String> {
        let mut table = Table::new(["TRANSACTION", "STATE", "NONCE", "BLOCK", "FEE xDAI", "HASH"]);
        for transaction in &self.transactions {
            let state = match (transaction.state.as_str(), &transaction.reason, transaction.is_final) {
                ("reverted", Some(reason), _) => format!("reverted: {reason}"),
                ("mined", _, true) => "mined, final".to_owned(),
                ("pending", _, _) if transaction.versions > 1 => {
                    format!("pending, sent {} times", transaction.versions)
                }
                (state, ..) => state.to_owned(),
            };
            let purpose = transaction.key.split(':').next().unwrap_or_default();
            table.row([
                purpose_of(purpose).to_owned(),
                state,
                transaction.nonce.to_string(),
                transaction.block.map_or_else(|| "-".into(), |block| block.to_string()),
                transaction.fee().map_or_else(|| "-".into(), xdai),
                transaction.hash.to_string(),
            ]);
        }
        table.lines()
    }
}

/// What a transaction is for.
fn purpose_of(kind: &str) -> &str {
    match kind {
        "post" => "pay into escrow",
        "ack" => "acknowledge",
        "claim" => "claim",
        "cancel" => "take back (not begun)",
        "timeout" => "take back (not delivered)",
        other => other,
    }
}

async fn open(database: &Path) -> anyhow::Result<Store> {
    Store::open_existing(database).await.with_context(|| format!("can't open {}", database.display()))
}
