//! All that is known about one job.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use t4t_store::{HistoryEntry, Store};

use super::row::JobRow;
use crate::output::Table;

/// A job and what happened to it.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    row: JobRow,
    history: Vec<HistoryEntry>,
}

impl Detail {
    /// Reads what happened to a job.
    pub(crate) async fn read(database: &Path, row: JobRow) -> anyhow::Result<Self> {
        let open = Store::open_existing(database).await;
        let store = open.with_context(|| format!("can't open {}", database.display()))?;
        let subject = match (row.request, row.job) {
            (Some(request), _) => *request.as_bytes(),
            (None, Some(job)) => *job.as_bytes(),
            (None, None) => return Ok(Self { row, history: Vec::new() }),
        };
        let history = store.history_by_subject(row.side, &subject).await?;
        store.close().await;
        Ok(Self { row, history })
    }

    /// What is shown to people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let row = &self.row;
        let mut table = Table::bare();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                table.row([name.to_owned(), value]);
            }
        };
        add("side", Some(row.side_name().to_owned()));
        add("state", Some(row.state.clone()));
        add("reason", row.reason.clone());
        add("model", Some(row.model.clone()));
        add("with", Some(row.with.to_string()));
        add("job", row.job.map(|job| job.to_string()));
        add("request", row.request.map(|request| request.to_string()));
        add("attempt", row.attempt.map(|attempt| attempt.to_string()));
        add("sealed request", Some(row.request_hash.to_string()));
        add("sealed answer", row.response_hash.map(|hash| hash.to_string()));
        add(
            "prices",
            Some(format!("{} in, {} out (xBZZ per million tokens)", row.prices.input, row.prices.output)),
        );
        add("tokens", row.usage.map(|usage| format!("{} in, {} out", usage.prompt, usage.completion)));
        add("in escrow", Some(format!("{} xBZZ", row.max_payment)));
        add("paid", row.paid.map(|paid| format!("{paid} xBZZ ({} PLUR)", paid.plur())));
        let mut lines = table.lines();
        let begun = self.history.first().map_or(row.created_at_ms, |entry| entry.at_ms);
        for HistoryEntry { at_ms, event, detail } in &self.history {
            lines.push(
                format!("{:>10} ms  {event}  {detail}", at_ms.saturating_sub(begun)).trim_end().to_owned(),
            );
        }
        lines.push(String::new());
        lines
    }
}
