//! `t4t dev --check`: buys two answers as an app would, and checks the money to the last PLUR.

mod report;

use std::time::{Duration, Instant};

use anyhow::Context;
use t4t_ledger::LedgerError;
use t4t_terminal::Steps;
use t4t_types::{ModelId, Xbzz};

pub(super) use self::report::Report;
use super::app::{App, Bought};
use super::market::Market;
use super::money::{Parties, SettledJob};

/// How long both jobs may take to be settled on the chain after the answers.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// Buys, waits for the settlement, and compares.
pub(super) async fn run(market: &Market, steps: &Steps) -> anyhow::Result<Report> {
    let ready_ms = steps.elapsed_ms();
    let offer = market.offers.first().context("no model is on offer")?;
    let model: ModelId = offer.model.parse().context("the first model on offer has no usable name")?;
    let parties = &market.world.parties;
    let before = parties.balances().await?;
    let app = App::new(&market.gateway.url(), &model)?;
    let plain = bought(steps, "plain", app.ask()).await?;
    let stream = bought(steps, "stream", app.ask_streaming()).await?;
    let jobs = steps
        .step("settlement", "waiting for the chain", async {
            let jobs = settled(parties).await?;
            let said = format!("{} settled", super::market::count(jobs.len(), "job"));
            Ok((jobs, said))
        })
        .await?;
    let prices = parties.prices(&model).await?;
    let cost = |bought: &Bought| prices.cost(bought.usage).context("the cost overflows");
    let expected: Xbzz = [cost(&plain)?, cost(&stream)?].into_iter().sum();
    let after = parties.balances().await?;
    Ok(Report::new(report::Found {
        model,
        prices,
        answers: [plain, stream],
        jobs,
        expected,
        before,
        after,
        ready_ms,
        ms: steps.elapsed_ms(),
    }))
}

async fn bought(
    steps: &Steps,
    name: &str,
    asking: impl Future<Output = anyhow::Result<Bought>>,
) -> anyhow::Result<Bought> {
    let begun = Instant::now();
    steps
        .step(name, "asking the gateway", async {
            let mut bought = asking.await.with_context(|| format!("the {name} request got no answer"))?;
            bought.ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let usage = bought.usage;
            Ok((bought, format!("answered, {} tokens in, {} out", usage.prompt, usage.completion)))
        })
        .await
}

/// Waits until no job is open and the books are exact; what is not so at the limit shows in the report.
async fn settled(parties: &Parties) -> anyhow::Result<Vec<SettledJob>> {
    match parties.books().closed(SETTLED_LIMIT).await {
        Ok(jobs) => Ok(parties.of_client(jobs)),
        Err(LedgerError::Wrong { .. } | LedgerError::Moving) => {
            Ok(parties.of_client(parties.books().jobs().await?))
        }
        Err(error) => Err(error.into()),
    }
}
