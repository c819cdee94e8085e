//! A role that runs short says so before it costs money, takes no new work, and comes back by itself.
//!
//! `CHAOS_ONLY=stamp` plays only the scenarios whose names hold that.
#![cfg(test)]

mod board;
mod gateway;
mod history;
mod provider;
mod starting;

use std::fmt;

use t4t_testkit::processes::{ECHO, Question, Reply, Scene};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// A scenario.
#[derive(Clone, Copy, Debug)]
enum Play {
    ProviderWithoutGas,
    ProviderWithoutStamp,
    ProviderWithoutChain,
    ProviderWithALateClaim,
    ProviderThatLeftAndCameBack,
    GatewayWithoutGas,
    GatewayWithoutStamp,
    GatewayWithoutChain,
    StartWithoutChain,
    StartOnTheWrongChain,
    KilledGatewayTellsWhatItTookUp,
}

impl Play {
    const ALL: [Self; 11] = [
        Self::ProviderWithoutGas,
        Self::ProviderWithoutStamp,
        Self::ProviderWithoutChain,
        Self::ProviderWithALateClaim,
        Self::ProviderThatLeftAndCameBack,
        Self::GatewayWithoutGas,
        Self::GatewayWithoutStamp,
        Self::GatewayWithoutChain,
        Self::StartWithoutChain,
        Self::StartOnTheWrongChain,
        Self::KilledGatewayTellsWhatItTookUp,
    ];
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[actix_web::test]
async fn whoever_runs_short_says_so_first_and_comes_back_by_itself() -> anyhow::Result<()> {
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default().to_lowercase();
    let plays: Vec<Play> =
        Play::ALL.into_iter().filter(|play| play.to_string().to_lowercase().contains(&only)).collect();
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| match play {
        Play::ProviderWithoutGas => Box::pin(provider::without_gas()).await,
        Play::ProviderWithoutStamp => Box::pin(provider::without_stamp()).await,
        Play::ProviderWithoutChain => Box::pin(provider::without_chain()).await,
        Play::ProviderWithALateClaim => Box::pin(provider::with_a_late_claim()).await,
        Play::ProviderThatLeftAndCameBack => Box::pin(provider::that_left_and_came_back()).await,
        Play::GatewayWithoutGas => Box::pin(gateway::without_gas()).await,
        Play::GatewayWithoutStamp => Box::pin(gateway::without_stamp()).await,
        Play::GatewayWithoutChain => Box::pin(gateway::without_chain()).await,
        Play::StartWithoutChain => Box::pin(starting::without_chain()).await,
        Play::StartOnTheWrongChain => Box::pin(starting::on_the_wrong_chain()).await,
        Play::KilledGatewayTellsWhatItTookUp => Box::pin(history::of_a_killed_gateway()).await,
    })
    .await
}

/// Asks until there is an answer: whoever was short has come back.
async fn answered(scene: &mut Scene) -> anyhow::Result<Reply> {
    let question = Question::new(ECHO, "is all well again?");
    t4t_testkit::eventually(t4t_testkit::processes::PATIENCE, "an answer", async || {
        scene.ask(&question).await.ok().filter(Reply::is_answer)
    })
    .await
}
