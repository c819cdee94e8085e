//! What a process says at its start about what the last run left open.

use t4t_types::Xbzz;

use crate::telemetry::LogFormat;

/// What the last run left open, and what became of it at the start. What a process does not own stays zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenUp {
    /// A provider's jobs that have no answer yet.
    pub jobs_to_answer: u64,
    /// A provider's jobs whose answer is stored and still to be delivered or claimed.
    pub answers_to_claim: u64,
    /// A provider's jobs whose refusal is on its way.
    pub refusals: u64,
    /// A gateway's jobs that wait for their provider.
    pub jobs_waiting: u64,
    /// What those have in escrow.
    pub in_escrow: Xbzz,
    /// A gateway's jobs that were answered and wait for their claim.
    pub answers_unclaimed: u64,
    /// A gateway's requests whose payment had not left.
    pub never_paid: u64,
    /// A gateway's jobs past their deadline, whose payment is being asked back.
    pub refunds_due: u64,
    /// Refunds that were asked for and are on their way.
    pub refunds_sent: u64,
    /// Transactions in no block, whose bytes were sent again.
    pub transactions_sent_again: u64,
    /// Transactions that were found in a block.
    pub transactions_mined: u64,
    /// Transactions that were found in a block and refused by the contract.
    pub transactions_reverted: u64,
}

/// A count and what it counts, for one and for many.
type Line = (u64, &'static str, &'static str);

impl TakenUp {
    /// The same with what another part of the process took up.
    pub fn and(self, other: Self) -> Self {
        Self {
            jobs_to_answer: self.jobs_to_answer + other.jobs_to_answer,
            answers_to_claim: self.answers_to_claim + other.answers_to_claim,
            refusals: self.refusals + other.refusals,
            jobs_waiting: self.jobs_waiting + other.jobs_waiting,
            in_escrow: self.in_escrow.saturating_add(other.in_escrow),
            answers_unclaimed: self.answers_unclaimed + other.answers_unclaimed,
            never_paid: self.never_paid + other.never_paid,
            refunds_due: self.refunds_due + other.refunds_due,
            refunds_sent: self.refunds_sent + other.refunds_sent,
            transactions_sent_again: self.transactions_sent_again + other.transactions_sent_again,
            transactions_mined: self.transactions_mined + other.transactions_mined,
            transactions_reverted: self.transactions_reverted + other.transactions_reverted,
        }
    }

    const fn lines(&self) -> [Line; 11] {
        [
            (self.jobs_to_answer, "job to answer", "jobs to answer"),
            (
                self.answers_to_claim,
                "stored answer to deliver and claim",
                "stored answers to deliver and claim",
            ),
            (self.refusals, "refusal on its way", "refusals on their way"),
            (self.jobs_waiting, "job waits for its provider", "jobs wait for their provider"),
            (
                self.answers_unclaimed,
                "answered job waits for its claim",
                "answered jobs wait for their claim",
            ),
            (self.never_paid, "request closed before it was paid", "requests closed before they were paid"),
            (
                self.refunds_due,
                "refund to ask for, past its deadline",
                "refunds to ask for, past their deadline",
            ),
            (self.refunds_sent, "refund on its way", "refunds on their way"),
            (self.transactions_sent_again, "transaction sent again", "transactions sent again"),
            (self.transactions_mined, "transaction found in a block", "transactions found in a block"),
            (
                self.transactions_reverted,
                "transaction refused by its contract",
                "transactions refused by their contract",
            ),
        ]
    }

    /// Whether nothing was left open.
    pub fn is_empty(&self) -> bool {
        self.lines().iter().all(|(count, ..)| *count == 0)
    }

    /// What people read: a line for each thing there was, or the one that there was nothing.
    pub fn block(&self) -> String {
        if self.is_empty() {
            return NOTHING.to_owned();
        }
        let mut block = format!("{SOMETHING}:");
        for (count, one, many) in self.lines().into_iter().filter(|(count, ..)| *count > 0) {
            block.push_str(&format!("\n  {count:>4}  {}", if count == 1 { one } else { many }));
        }
        if !self.in_escrow.is_zero() {
            block.push_str(&format!("\n        {} xBZZ in escrow for them", self.in_escrow));
        }
        block
    }

    /// Tells it: people as a block of lines, programs as one event with a field for each count.
    pub fn tell(&self, format: LogFormat) {
        match format {
            LogFormat::Human => tracing::info!("{}", self.block()),
            LogFormat::Json => tracing::info!(
                jobs_to_answer = self.jobs_to_answer,
                answers_to_claim = self.answers_to_claim,
                refusals = self.refusals,
                jobs_waiting = self.jobs_waiting,
                in_escrow = %self.in_escrow,
                answers_unclaimed = self.answers_unclaimed,
                never_paid = self.never_paid,
                refunds_due = self.refunds_due,
                refunds_sent = self.refunds_sent,
                transactions_sent_again = self.transactions_sent_again,
                transactions_mined = self.transactions_mined,
                transactions_reverted = self.transactions_reverted,
                "{}",
                if self.is_empty() { NOTHING } else { SOMETHING }
            ),
        }
    }
}

const NOTHING: &str = "the last run left nothing open";

const SOMETHING: &str = "taken up from the last run";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_names_what_there_was_and_nothing_else() {
        let taken_up = TakenUp {
            jobs_waiting: 12,
            in_escrow: Xbzz::from_whole(3),
            refunds_sent: 1,
            transactions_sent_again: 2,
            ..TakenUp::default()
        };
        let expected = "taken up from the last run:\n    12  jobs wait for their provider\n     1  refund on its way\n     \
                        2  transactions sent again\n        3 xBZZ in escrow for them";
        assert_eq!(taken_up.block(), expected);
    }

    #[test]
    fn nothing_is_one_line() {
        assert_eq!(TakenUp::default().block(), "the last run left nothing open");
    }
}
