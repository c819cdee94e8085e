//! What a transaction without a receipt needs.

use std::time::Duration;

use crate::in_flight::Sent;

/// What a transaction without a receipt needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To wait.
    Nothing,
    /// To be sent: since the start, nobody did.
    Send,
    /// To be sent again as it is.
    Resend,
    /// A higher fee: a node said so.
    Raise,
    /// To find out why blocks pass it by.
    Unblock,
}

/// What is known of a transaction without a receipt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// What is known since it was sent; `None` if it was not, since the start.
    pub(super) sent: Option<Sent>,
    /// Whether another transaction has the nonce of its newest version.
    pub(super) is_refused: bool,
    /// Whether as many blocks came without it as call for a higher fee.
    pub(super) is_passed_by: bool,
}

impl Waiting {
    /// What it needs.
    pub(super) fn need(&self, now_ms: u64, resend_after: Duration) -> Need {
        let Some(sent) = self.sent else { return Need::Send };
        let has_waited = u128::from(now_ms.saturating_sub(sent.at_ms)) >= resend_after.as_millis();
        match () {
            () if sent.nonce_taken || self.is_refused => Need::Unblock,
            // A higher fee is even more than the wallet can't pay.
            () if sent.unfunded && !has_waited => Need::Nothing,
            () if sent.unfunded => Need::Resend,
            () if self.is_passed_by => Need::Unblock,
            () if sent.fee_too_low => Need::Raise,
            () if has_waited => Need::Resend,
            () => Need::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_millis(100);

    fn sent() -> Sent {
        Sent {
            at_ms: 1000,
            head: Some(7),
            next_look_ms: 1000,
            looks: 0,
            fee_too_low: false,
            nonce_taken: false,
            unfunded: false,
        }
    }

    fn need(sent: Sent, is_refused: bool, is_passed_by: bool, waited_ms: u64) -> Need {
        let waiting = Waiting { sent: Some(sent), is_refused, is_passed_by };
        waiting.need(1000 + waited_ms, AFTER)
    }

    #[test]
    fn what_was_never_sent_is_sent() {
        let waiting = Waiting { sent: None, is_refused: true, is_passed_by: true };
        assert_eq!(waiting.need(1000, AFTER), Need::Send);
    }

    #[test]
    fn what_waits_is_sent_again_after_a_while_and_asked_about_once_blocks_pass_it_by() {
        assert_eq!(need(sent(), false, false, 99), Need::Nothing);
        assert_eq!(need(sent(), false, false, 100), Need::Resend);
        assert_eq!(need(sent(), false, true, 0), Need::Unblock);
        let too_low = Sent { fee_too_low: true, ..sent() };
        assert_eq!(need(too_low, false, false, 0), Need::Raise);
        assert_eq!(need(too_low, false, true, 0), Need::Unblock);
    }

    #[test]
    fn a_nonce_that_is_taken_comes_before_everything() {
        for unfunded in [false, true] {
            let taken = Sent { nonce_taken: true, unfunded, ..sent() };
            assert_eq!(need(taken, false, false, 0), Need::Unblock);
            assert_eq!(need(Sent { unfunded, ..sent() }, true, false, 0), Need::Unblock);
        }
    }

    #[test]
    fn what_the_wallet_can_not_pay_is_sent_again_and_never_raised() {
        let unfunded = Sent { unfunded: true, fee_too_low: true, ..sent() };
        assert_eq!(need(unfunded, false, true, 99), Need::Nothing);
        assert_eq!(need(unfunded, false, true, 100), Need::Resend);
    }
}
