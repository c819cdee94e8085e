//! All that is known about one job, for people.

use t4t_operator::jobs::JobHistory;
use t4t_operator::text::{utc, xdai};
use t4t_store::{HistoryEntry, Side};
use t4t_terminal::output::Table;
use t4t_types::Xbzz;

use super::row::side_name;

/// What is shown.
pub(super) fn lines(job: &JobHistory) -> Vec<String> {
    let mut lines = vec![format!("{} {}: {}", side_name(job.row.side), job.row.state, job.meaning)];
    lines.extend(facts(job));
    lines.push(String::new());
    lines.extend(events(job));
    if !job.transactions.is_empty() {
        lines.push(String::new());
        lines.extend(transaction_lines(job));
    }
    lines.push(String::new());
    lines
}

fn facts(job: &JobHistory) -> Vec<String> {
    let (row, cost) = (&job.row, &job.cost);
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
    add("gas", (!job.transactions.is_empty()).then(|| format!("{} xDAI{open}", cost.gas_xdai)));
    table.lines()
}

fn events(job: &JobHistory) -> Vec<String> {
    let begun = job.history.first().map_or(job.row.created_at_ms, |entry| entry.at_ms);
    let mut table = Table::new(["TIME (UTC)", "AFTER", "EVENT", "DETAIL"]);
    for HistoryEntry { at_ms, event, detail } in &job.history {
        let after = at_ms.saturating_sub(begun);
        let after = format!("{}.{:03} s", after / 1000, after % 1000);
        table.row([utc(*at_ms), after, event.clone(), detail.clone()]);
    }
    table.lines()
}

fn transaction_lines(job: &JobHistory) -> Vec<String> {
    let mut table = Table::new(["TRANSACTION", "STATE", "NONCE", "BLOCK", "FEE xDAI", "HASH"]);
    for transaction in &job.transactions {
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
