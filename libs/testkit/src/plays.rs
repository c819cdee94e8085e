//! Many scenarios of one kind: played side by side, each with its outcome told.

use std::fmt::Display;
use std::time::Instant;

use anyhow::bail;
use futures_util::StreamExt;

/// Plays all of these, so many at a time, tells on standard error what became of each, and fails if one did.
///
/// # Errors
/// Names every scenario that failed; why was told before.
pub async fn play_all<T: Display>(
    plays: &[T],
    side_by_side: usize,
    play: impl AsyncFn(&T) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let all_began = Instant::now();
    let told = async |scenario: &T| {
        let began = Instant::now();
        let end = Box::pin(play(scenario)).await;
        let took = began.elapsed();
        match end {
            Ok(said) => {
                eprintln!("{scenario}: {said}, {took:.1?}");
                None
            }
            Err(error) => {
                eprintln!("{scenario}: FAILED after {took:.1?}\n{error:#}");
                Some(scenario.to_string())
            }
        }
    };
    let ends = futures_util::stream::iter(plays).map(told).buffer_unordered(side_by_side);
    let failed: Vec<String> = ends.filter_map(std::future::ready).collect().await;
    eprintln!("{} scenarios in {:.0?}, {} failed", plays.len(), all_began.elapsed(), failed.len());
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join("; ")) }
}
