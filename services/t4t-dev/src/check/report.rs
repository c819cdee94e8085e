//! What the check found.

use serde::Serialize;
use t4t_chain::contracts::JobStatus;
use t4t_terminal::output::Table;
use t4t_types::{ModelId, TokenPrices, TokenUsage, Xbzz};

use super::super::app::Bought;
use super::super::money::{Balances, SettledJob};

/// Everything that was seen.
pub(super) struct Found {
    pub(super) model: ModelId,
    pub(super) prices: TokenPrices,
    pub(super) answers: [Bought; 2],
    pub(super) jobs: Vec<SettledJob>,
    pub(super) expected: Xbzz,
    pub(super) before: Balances,
    pub(super) after: Balances,
    pub(super) ready_ms: u64,
    pub(super) ms: u64,
}

/// Whether the money is right, and the figures that show it. Amounts are in PLUR.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether everything is as it must be.
    pub(crate) ok: bool,
    /// What is not.
    wrong: Vec<String>,
    answered: usize,
    model: ModelId,
    prices: TokenPrices,
    usage: Vec<TokenUsage>,
    /// By the answers' usage and the prices on the chain.
    expected_plur: Xbzz,
    /// By the chain's events.
    paid_plur: Xbzz,
    provider_balance_delta_plur: Xbzz,
    client_balance_delta_plur: Xbzz,
    /// What is left in escrow.
    escrow_balance_plur: Xbzz,
    jobs: Vec<SettledJob>,
    plain_ms: u64,
    stream_ms: u64,
    ready_ms: u64,
    ms: u64,
}

impl Report {
    pub(super) fn new(found: Found) -> Self {
        let [plain, stream] = &found.answers;
        let earned = found.after.provider.checked_sub(found.before.provider);
        let spent = found.before.client.checked_sub(found.after.client);
        let paid: Xbzz = found.jobs.iter().map(|job| job.paid).sum();
        let wrong = wrong(&found, earned, spent, paid);
        Self {
            ok: wrong.is_empty(),
            wrong,
            answered: found.answers.iter().filter(|answer| !answer.content.is_empty()).count(),
            usage: found.answers.iter().map(|answer| answer.usage).collect(),
            expected_plur: found.expected,
            paid_plur: paid,
            provider_balance_delta_plur: earned.unwrap_or_default(),
            client_balance_delta_plur: spent.unwrap_or_default(),
            escrow_balance_plur: found.after.escrow,
            plain_ms: plain.ms,
            stream_ms: stream.ms,
            model: found.model,
            prices: found.prices,
            jobs: found.jobs,
            ready_ms: found.ready_ms,
            ms: found.ms,
        }
    }

    /// What is shown to people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut table = Table::bare();
        for (name, amount) in [
            ("expected", self.expected_plur),
            ("paid", self.paid_plur),
            ("provider earned", self.provider_balance_delta_plur),
            ("client spent", self.client_balance_delta_plur),
            ("left in escrow", self.escrow_balance_plur),
        ] {
            table.row([name.to_owned(), format!("{} PLUR", amount.plur()), format!("{amount} xBZZ")]);
        }
        let mut lines = table.lines();
        lines.extend(self.wrong.iter().map(|wrong| format!("wrong: {wrong}")));
        let verdict = if self.ok { "ok: the money is right to the PLUR" } else { "the check failed" };
        lines.push(format!("{verdict} ({} answers, {} ms)", self.answered, self.ms));
        lines
    }
}

fn wrong(found: &Found, earned: Option<Xbzz>, spent: Option<Xbzz>, paid: Xbzz) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let expected = found.expected;
    must(found.answers.iter().all(|answer| !answer.content.is_empty()), "an answer is empty".into());
    must(!expected.is_zero(), "the answers cost nothing".into());
    must(found.jobs.len() == 2, format!("{} jobs were posted for 2 requests", found.jobs.len()));
    for job in found.jobs.iter().filter(|job| job.status != JobStatus::Claimed) {
        must(false, format!("job {} ended as {:?}", job.job, job.status));
    }
    must(paid == expected, format!("{paid} xBZZ were paid for what costs {expected}"));
    must(earned == Some(expected), "the provider's balance did not rise by the cost".into());
    must(spent == Some(expected), "the client's balance did not fall by the cost".into());
    must(found.after.escrow.is_zero(), format!("{} xBZZ are left in escrow", found.after.escrow));
    wrong
}
