//! The figures: every few seconds in a line or two, and at the end as a table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use t4t_ledger::{Books, JobEntry, Ledger};
use t4t_terminal::output::Table;
use t4t_types::{Address, Xbzz};

use super::app::Tally;
use super::market::ChaosMarket;
use super::storm::Storm;
use super::teller::{Place, Teller};

/// What happened so far.
#[derive(Debug)]
pub(super) struct Report {
    requests: Tally,
    faults: BTreeMap<(Place, String), u64>,
    names: [(Address, &'static str); 4],
}

/// What became of the jobs.
#[derive(Clone, Copy, Debug, Default)]
struct Jobs {
    paid: usize,
    refunded: usize,
    open: usize,
}

impl Jobs {
    fn of(jobs: &[JobEntry]) -> Self {
        let open = jobs.iter().filter(|job| job.status.is_open()).count();
        let paid = jobs.iter().filter(|job| !job.paid.is_zero()).count();
        Self { paid, open, refunded: jobs.len().saturating_sub(open + paid) }
    }
}

impl Report {
    /// The figures of now.
    pub(super) fn new(market: &ChaosMarket, storm: &Storm, requests: Tally) -> Self {
        let mut faults = BTreeMap::new();
        let mut add =
            |place, words: &str, count| *faults.entry((place, words.to_owned())).or_default() += count;
        for (_, proxy) in &market.faults.chain {
            proxy.counts().into_iter().for_each(|(fault, count)| add(Place::Chain, fault.words(), count));
        }
        let backend = market.faults.backend.counts();
        backend.into_iter().for_each(|(fault, count)| add(Place::Backend, fault.words(), count));
        let swarm = market.faults.swarm.counts();
        swarm.into_iter().for_each(|(words, count)| add(Place::Swarm, words, count));
        add(Place::Chain, "reorganisation", storm.reorganisations);
        add(Place::Market, "kill -9", storm.kills);
        let money = &market.world.parties;
        let names = [
            (money.client, "the gateway's"),
            (money.provider, "the provider's"),
            (money.contracts.escrow, "in escrow"),
            (money.contracts.registry, "at stake"),
        ];
        Self { requests, faults, names }
    }

    /// Tells it, with what the books say.
    pub(super) async fn tell(&self, ledger: &Ledger, teller: &Teller) {
        let (books, verdict) = self.judged(ledger).await;
        let Tally { asked, answered, refused, .. } = self.requests;
        let waiting = self.requests.waiting();
        let jobs = books.as_ref().map(|books| Jobs::of(&books.jobs)).unwrap_or_default();
        let Jobs { paid, refunded, open } = jobs;
        let places = [Place::Chain, Place::Swarm, Place::Backend, Place::Market].map(|place| {
            let name = if place == Place::Market { "kills" } else { place.name() };
            format!("{name} {}", self.count(place))
        });
        let at = teller.seconds();
        let lines = [
            format!(
                "{at:>8.1} s  = {asked} asked: {answered} answered, {refused} refused, {waiting} waiting; \
                     jobs: {paid} paid, {refunded} refunded, {open} open"
            ),
            format!("            faults: {}; {verdict}", places.join(", ")),
        ];
        let mut figures = self.figures(jobs, books.as_ref());
        figures["event"] = "summary".into();
        figures["s"] = at.round().into();
        figures["verdict"] = verdict.into();
        teller.figures(&lines, &figures);
    }

    /// The books of now, and what they say in words.
    async fn judged(&self, ledger: &Ledger) -> (Option<Books>, String) {
        match ledger.books().await {
            Ok(books) => {
                let verdict = self.verdict(&books);
                (Some(books), verdict)
            }
            Err(error) => (None, format!("books not read: {:#}", anyhow::Error::from(error))),
        }
    }

    fn verdict(&self, books: &Books) -> String {
        if !books.wrong.is_empty() {
            return format!("BOOKS WRONG: {}", books.wrong.join("; "));
        }
        let held = |address| books.balances.get(&address).copied().unwrap_or_default();
        let parts = self.names.iter().map(|(address, name)| format!("{} {name}", held(*address)));
        let burned: Xbzz = books.jobs.iter().map(|job| job.slashed).sum();
        let parts: Vec<String> = parts.chain([format!("{burned} burned")]).collect();
        format!("books exact: {} xBZZ minted = {}", books.minted, parts.join(" + "))
    }

    fn count(&self, of: Place) -> u64 {
        self.faults.iter().filter(|((place, _), _)| *place == of).map(|(_, count)| count).sum()
    }

    fn figures(&self, jobs: Jobs, books: Option<&Books>) -> Value {
        let Tally { asked, answered, refused, wrong, hung, slowest_ms } = self.requests;
        let mut faults: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((place, words), count) in &self.faults {
            faults.entry(place.name()).or_default().insert(words, *count);
        }
        json!({
            "asked": asked, "answered": answered, "refused": refused, "waiting": self.requests.waiting(),
            "wrong_answers": wrong, "hung": hung, "slowest_ms": slowest_ms,
            "jobs": { "paid": jobs.paid, "refunded": jobs.refunded, "open": jobs.open },
            "faults": faults,
            "minted_plur": books.map(|books| books.minted),
            "held_plur": books.map(Books::held),
            "slashed_plur": books.map(|books| books.jobs.iter().map(|job| job.slashed).sum::<Xbzz>()),
        })
    }
}

/// How it ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) seed: u64,
    pub(super) report: Report,
    pub(super) seconds: f64,
    /// What is wrong with the books.
    pub(super) wrong: Vec<String>,
}

impl End {
    /// Tells it; whether all was well.
    pub(super) async fn tell(&self, ledger: &Ledger, teller: &Teller) -> bool {
        let requests = self.report.requests;
        let (books, verdict) = self.report.judged(ledger).await;
        let is_exact = self.wrong.is_empty() && books.as_ref().is_some_and(|books| books.wrong.is_empty());
        let is_well = is_exact && requests.wrong == 0 && requests.hung == 0;
        let jobs = books.as_ref().map(|books| Jobs::of(&books.jobs)).unwrap_or_default();
        let mut figures = self.report.figures(jobs, books.as_ref());
        figures["event"] = "end".into();
        figures["ok"] = is_well.into();
        figures["seed"] = self.seed.into();
        figures["s"] = self.seconds.round().into();
        figures["books_exact"] = is_exact.into();
        figures["wrong"] = json!(self.wrong);
        teller.figures(&self.lines(jobs, is_exact, is_well, &verdict), &figures);
        is_well
    }

    fn lines(&self, jobs: Jobs, is_exact: bool, is_well: bool, verdict: &str) -> Vec<String> {
        let Tally { asked, answered, refused, wrong, hung, slowest_ms } = self.report.requests;
        let Jobs { paid, refunded, open } = jobs;
        let mut table = Table::bare();
        let slowest = format!("{:.1} s", slowest_ms as f64 / 1000.0);
        for (name, value) in [
            (
                "requests",
                format!(
                    "{asked} asked: {answered} answered, {refused} refused, {wrong} answered wrongly, {hung} left hanging"
                ),
            ),
            ("slowest", slowest),
            ("jobs", format!("{paid} paid, {refunded} refunded, {open} open")),
        ] {
            table.row([name.to_owned(), value]);
        }
        for ((place, words), count) in &self.report.faults {
            table.row([place.name().to_owned(), format!("{count:>5} × {words}")]);
        }
        let mut lines = vec![String::new()];
        lines.extend(table.lines());
        lines.push(String::new());
        lines.extend(self.wrong.iter().map(|wrong| format!("wrong: {wrong}")));
        lines.push(if is_exact { verdict.to_owned() } else { "THE BOOKS ARE WRONG".to_owned() });
        let end = if is_well { "ok" } else { "failed" };
        lines.push(format!(
            "{end} after {:.0} s (--chaos-seed {} throws the same dice)",
            self.seconds, self.seed
        ));
        lines
    }
}
