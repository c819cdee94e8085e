//! The rows that say what was reached.

use std::fmt;

/// One thing that must be reached.
#[derive(Debug)]
struct Row {
    what: String,
    limit: String,
    measured: String,
    share: f64,
}

/// All that was measured against a limit.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Whether nothing was measured against a limit.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds something that may be at most `limit`.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, measured: f64, limit: f64, unit: &str) {
        self.rows.push(Row {
            what: what.into(),
            limit: format!("≤ {limit} {unit}").trim_end().to_owned(),
            measured: format!("{measured:.2} {unit}").trim_end().to_owned(),
            share: measured / limit,
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | must reach | measured | of the limit | |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for Row { what, limit, measured, share } in &self.rows {
            let verdict = if *share <= 1.0 { "reached" } else { "missed" };
            writeln!(f, "| {what} | {limit} | {measured} | {share:.2} | {verdict} |")?;
        }
        Ok(())
    }
}
