//! Many different requests at once.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::join_all;
use t4t_testkit::eventually;
use t4t_testkit::processes::{ECHO, Question, Reply};
use t4t_types::Xbzz;

use super::market::{Market, Size};

/// How long the market may take for a crowd, at most.
const PATIENCE: Duration = Duration::from_secs(540);

/// How long a word takes where answers are not held back: so long that slots stay taken over some blocks.
const WORD_TAKES: Duration = Duration::from_millis(150);

/// Slots that each provider has beyond its part of the crowd.
const SPARE: u64 = 7;

/// Requests that come at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// How many.
    pub(crate) requests: u64,
    /// Slots of each of the three providers.
    pub(crate) slots: u64,
    /// Whether the backends answer only once all of them are under way.
    pub(crate) is_held: bool,
}

impl Crowd {
    /// More requests than slots.
    pub(crate) const fn beyond_slots() -> Self {
        Self { requests: 50, slots: 8, is_held: false }
    }

    /// So many requests in flight at once.
    pub(crate) const fn in_flight(requests: u64) -> Self {
        Self { requests, slots: requests / 3 + SPARE, is_held: true }
    }
}

/// What became of a crowd.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    /// The most requests that one backend worked on at a time.
    pub(crate) peak: u64,
    /// When all were under way; zero where they were not to be at once.
    pub(crate) under_way: Duration,
    /// When all were answered.
    pub(crate) answered: Duration,
    /// When the books were closed.
    pub(crate) closed: Duration,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peak, under_way, answered, closed } = self;
        if !under_way.is_zero() {
            write!(f, "all under way after {under_way:.1?}, ")?;
        }
        write!(
            f,
            "all answered after {answered:.1?}, books closed after {closed:.1?}, at most {peak} at a backend"
        )
    }
}

fn text(number: u64) -> String {
    format!("this is question number {number} of many")
}

/// Lets a crowd in.
pub(crate) async fn pass(crowd: &Crowd) -> anyhow::Result<Passed> {
    let requests = usize::try_from(crowd.requests)?;
    let market = Market::open(Size { slots: crowd.slots, requests, patience: PATIENCE }).await?;
    let passed = Box::pin(pass_in(&market, crowd)).await;
    passed.map_err(|error| error.context(market.story()))
}

async fn pass_in(market: &Market, crowd: &Crowd) -> anyhow::Result<Passed> {
    let (before, calls) = (market.closed().await?.len(), market.calls());
    for backend in &market.backends {
        if crowd.is_held {
            backend.hold();
        } else {
            backend.set_token_delay(WORD_TAKES);
        }
    }
    let mut passed = Passed::default();
    let began = Instant::now();
    let asking = join_all((0..crowd.requests).map(|number| ask(market, number)));
    let releasing = async {
        if !crowd.is_held {
            return Ok(());
        }
        let all = eventually(PATIENCE, "all requests under way", async || {
            (market.under_way() == crowd.requests).then_some(())
        });
        let all = all.await.map_err(|error| error.context(format!("{} are", market.under_way())));
        passed.under_way = began.elapsed();
        market.backends.iter().for_each(t4t_testkit::backend::ScriptedBackend::release);
        all
    };
    let (replies, released) = futures_util::future::join(asking, releasing).await;
    passed.answered = began.elapsed();
    are_answers(&replies)?;
    released?;

    let jobs = &market.closed().await?[before..];
    passed.closed = began.elapsed();
    ensure!(jobs.len() == replies.len(), "{} requests and {} jobs", replies.len(), jobs.len());
    ensure!(market.calls() - calls == crowd.requests, "{} backend calls", market.calls() - calls);
    let wrong = jobs.iter().find(|job| job.paid == Xbzz::ZERO || !job.slashed.is_zero());
    ensure!(wrong.is_none(), "not paid for, or stake burned: {wrong:?}");
    market.has_no_nonce_trouble().await?;
    passed.peak = market.is_never_overbooked()?;
    Ok(passed)
}

/// One app; every second one asks for a stream.
async fn ask(market: &Market, number: u64) -> anyhow::Result<Reply> {
    let text = text(number);
    let mut question = Question::new(ECHO, &text);
    question.stream = number % 2 == 1;
    market.app.ask(&market.url, &question).await
}

/// Checks that everyone got the answer to its own question, by the first provider asked.
fn are_answers(replies: &[anyhow::Result<Reply>]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (number, reply) in replies.iter().enumerate() {
        let expected = format!("{} ", text(number as u64));
        match reply {
            Ok(reply) if reply.is_answer() && reply.content == expected => {
                if reply.attempts.is_some_and(|attempts| attempts > 1) {
                    wrong.push(format!("{number}: answered at attempt {:?}", reply.attempts));
                }
            }
            Ok(reply) => wrong.push(format!("{number}: {} {}", reply.status, reply.body)),
            Err(error) => wrong.push(format!("{number}: {error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{} of {} went wrong:\n{}", wrong.len(), replies.len(), wrong.join("\n"));
    Ok(())
}
