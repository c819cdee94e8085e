//! Where the reading of events begins after a start.

use t4t_chain::LogScanner;

use crate::core::Core;
use crate::error::SyncError;
use crate::journal;

/// Opens the scanner where the last process stopped, or, on the very first start, some way back.
pub(crate) async fn open(core: &Core) -> Result<LogScanner, SyncError> {
    let (config, store) = (&core.config, &core.store);
    let head = core.rpc.latest_block().await?.number;
    let cursor = match store.cursor_by_name(journal::CURSOR).await? {
        None => head.saturating_sub(config.backfill_blocks),
        Some(cursor) if cursor > head.saturating_add(config.overlap) => {
            let dropped = store.job_logs_cut(head).await?;
            tracing::warn!(
                cursor,
                head,
                dropped,
                "the chain was set back: events above its head are forgotten"
            );
            head
        }
        Some(cursor) => {
            let oldest = head.saturating_sub(config.catch_up_blocks);
            if cursor < oldest {
                let left_out = oldest - cursor;
                tracing::warn!(
                    cursor,
                    left_out,
                    "the pause was too long: events of some blocks are left out"
                );
            }
            cursor.max(oldest)
        }
    };
    let from = cursor.saturating_sub(config.overlap);
    let known = store.job_logs_from_block(from).await?;
    let scanner = LogScanner::new(core.rpc.clone(), config.contracts, Some(cursor), config.overlap);
    Ok(scanner.with_reported(known.iter().filter_map(journal::logged)))
}
