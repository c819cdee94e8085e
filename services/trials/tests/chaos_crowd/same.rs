//! The same request many times at once.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::join_all;
use t4t_testkit::processes::{ECHO, Question, Reply};

use super::market::{Market, Size};

/// How often it is sent.
const TIMES: usize = 100;

/// How long an app waits.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long a word takes: so long that all are there before the answer.
const WORD_TAKES: Duration = Duration::from_millis(300);

const TEXT: &str = "say this once and only once";

/// Sends one request with one key many times at once, plain and streamed, and once more when it is answered.
pub(crate) async fn send_again_and_again() -> anyhow::Result<String> {
    let market = Market::open(Size { slots: 2, requests: 2 * TIMES, patience: PATIENCE }).await?;
    let sent = Box::pin(send_to(&market)).await;
    sent.map_err(|error| error.context(market.story()))
}

async fn send_to(market: &Market) -> anyhow::Result<String> {
    market.backends.iter().for_each(|backend| backend.set_token_delay(WORD_TAKES));
    let (before, calls) = (market.closed().await?.len(), market.calls());
    let plain = Question::new(ECHO, TEXT).keyed("plain");
    let streamed = Question::new(ECHO, TEXT).streamed().keyed("streamed");
    let all = (0..2 * TIMES).map(|number| if number % 2 == 0 { plain.clone() } else { streamed.clone() });
    let asked: Vec<Question<'_>> = all.collect();
    let replies = join_all(asked.iter().map(|question| market.app.ask(&market.url, question))).await;
    let replies: Vec<Reply> = replies.into_iter().collect::<anyhow::Result<_>>()?;
    let (plain_replies, streamed_replies): (Vec<_>, Vec<_>) =
        asked.iter().zip(&replies).partition(|(question, _)| !question.stream);
    let first = are_the_same(&plain_replies, |reply| format!("{:?} {}", reply.job, reply.body))?;
    ensure!(first.job.is_some(), "the answer names no job");
    are_the_same(&streamed_replies, |reply| format!("{} {:?}", reply.content, reply.usage))?;

    let again = market.app.ask(&market.url, &plain).await?;
    ensure!(again.job == first.job && again.content == first.content, "asked again: {}", again.body);
    let other = Question::new(ECHO, TEXT).streamed().keyed("plain");
    let other = market.app.ask(&market.url, &other).await?;
    ensure!((400..500).contains(&other.status), "another body with the key: {} {}", other.status, other.body);

    let jobs = &market.closed().await?[before..];
    ensure!(jobs.len() == 2, "two requests and {} jobs", jobs.len());
    ensure!(jobs.iter().all(|job| !job.paid.is_zero() && job.slashed.is_zero()), "{jobs:?}");
    ensure!(market.calls() - calls == 2, "{} backend calls for two requests", market.calls() - calls);
    market.has_no_nonce_trouble().await?;
    Ok(format!("{} answers, 2 jobs", replies.len()))
}

/// Checks that all are answers that agree in what is shown of them; returns one.
fn are_the_same<'a>(
    replies: &[(&Question<'_>, &'a Reply)],
    shown: impl Fn(&Reply) -> String,
) -> anyhow::Result<&'a Reply> {
    let (_, first) = replies.first().copied().ok_or_else(|| anyhow::anyhow!("nobody was asked"))?;
    ensure!(replies.len() == TIMES && first.content == format!("{TEXT} "), "{}", first.body);
    for (_, reply) in replies {
        reply.answer()?;
        ensure!(shown(reply) == shown(first), "two answers:\n{}\n{}", first.body, reply.body);
    }
    Ok(first)
}
