//! How old rows are, on machines whose clock was set back since they were stored.

/// Milliseconds since `stored_ms`. A row from the future was stored before the clock was set back, by an earlier
/// process: it counts as old, or nobody would look at it until the clock is there again.
pub(crate) fn age_ms(stored_ms: u64, now_ms: u64) -> u64 {
    now_ms.checked_sub(stored_ms).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_from_the_future_is_old() {
        assert_eq!(age_ms(1_000, 4_000), 3_000);
        assert_eq!(age_ms(4_000, 1_000), u64::MAX);
    }
}
