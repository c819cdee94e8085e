//! One job as a line of a table.

use t4t_operator::jobs::JobRow;
use t4t_operator::text::age;
use t4t_store::Side;

/// The row's cells.
pub(super) fn cells(row: &JobRow, now_ms: u64) -> [String; 9] {
    [
        age(now_ms.saturating_sub(row.created_at_ms)),
        side_name(row.side).into(),
        row.state.clone(),
        row.model.clone(),
        short(&row.with.to_string()),
        row.max_payment.to_string(),
        row.paid.map_or("-".into(), |paid| paid.to_string()),
        row.request.map_or("-".into(), |request| short(&request.to_string())),
        row.job.map_or("-".into(), |job| short(&job.to_string())),
    ]
}

/// What happened on this side.
pub(super) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buying => "bought",
        Side::Selling => "sold",
    }
}

/// An id's beginning, enough to tell it apart and to ask for it.
fn short(id: &str) -> String {
    id.chars().take(10).collect()
}
