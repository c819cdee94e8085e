//! Names of the transactions that settlement makes itself. No caller may use them.

use t4t_types::Address;

const APPROVAL: &str = "approve:";
const FUNDS: &str = "send:";
const FILLER: &str = "gap:";

/// The key of an approval.
pub(crate) fn approval(spender: Address, now_ms: u64) -> String {
    format!("{APPROVAL}{spender}:{now_ms}")
}

/// The key of money that is sent away.
pub(crate) fn funds(now_ms: u64) -> String {
    format!("{FUNDS}{now_ms}")
}

/// The key of a transaction that only fills a place in the sequence.
pub(crate) fn filler(nonce: u64, now_ms: u64) -> String {
    format!("{FILLER}{nonce}:{now_ms}")
}

/// Whether a transaction only fills a place in the sequence.
pub(crate) fn is_filler(key: &str) -> bool {
    key.starts_with(FILLER)
}

/// What a key begins with that only settlement may use.
pub(crate) fn reserved_prefix(key: &str) -> Option<&'static str> {
    [APPROVAL, FUNDS, FILLER].into_iter().find(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_settlements_own_is_reserved() {
        for key in [approval(Address::ZERO, 1), funds(1), filler(7, 1)] {
            assert!(reserved_prefix(&key).is_some(), "{key}");
            assert_eq!(is_filler(&key), key.starts_with("gap:7:"), "{key}");
        }
        assert_eq!(reserved_prefix("post:1"), None);
    }
}
