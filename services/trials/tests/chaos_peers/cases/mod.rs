//! Named attacks, each with different dice, on markets that go on between them.

mod answers;
mod bent;
mod jobs;
mod letters;
mod messages;

use std::fmt;

use anyhow::Context;
use t4t_testkit::chaos::{self, Form, Row};
use t4t_testkit::play_all;

use self::answers::AnswerTrick;
use self::bent::MessageTrick;
use self::jobs::JobTrick;
use self::messages::Side;
use super::dice::Dice;
use super::siege::Siege;

/// Markets at a time.
const SIDE_BY_SIDE: usize = 3;

/// Runs of each case.
const RUNS: (u32, u32) = (3, 100);

/// One market's attacks.
#[derive(Debug)]
enum Campaign {
    /// Messages to one side.
    Messages(Side),
    /// Jobs that are posted to the provider.
    Jobs(&'static [JobTrick]),
    /// Answers that a rogue provider gives the gateway.
    Answers(&'static [AnswerTrick]),
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(side) => write!(f, "messages to the {side:?}"),
            Self::Jobs(tricks) => write!(f, "jobs from {:?} on", tricks.first()),
            Self::Answers(tricks) => write!(f, "answers from {:?} on", tricks.first()),
        }
    }
}

impl Campaign {
    fn count(&self) -> usize {
        match self {
            Self::Messages(_) => MessageTrick::ALL.len(),
            Self::Jobs(tricks) => tricks.len(),
            Self::Answers(tricks) => tricks.len(),
        }
    }
}

#[actix_web::test]
async fn no_peers_trick_costs_the_honest_anything() -> anyhow::Result<()> {
    let runs = Form::from_env().runs(RUNS.0, RUNS.1)?;
    let seed = chaos::seed()?;
    let (jobs, more_jobs) = JobTrick::ALL.split_at(JobTrick::ALL.len() / 2);
    let (answers, more_answers) = AnswerTrick::ALL.split_at(AnswerTrick::ALL.len() / 2);
    let campaigns = [
        Campaign::Answers(answers),
        Campaign::Answers(more_answers),
        Campaign::Jobs(jobs),
        Campaign::Jobs(more_jobs),
        Campaign::Messages(Side::Gateway),
        Campaign::Messages(Side::Provider),
    ];
    let growth = std::cell::Cell::new(0);
    play_all(&campaigns, SIDE_BY_SIDE, async |campaign| {
        let kib = wage(campaign, runs, seed).await?;
        growth.set(growth.get().max(kib));
        Ok(format!("memory grew by {} MiB at most", kib / 1024))
    })
    .await?;
    let cases: usize = campaigns.iter().map(Campaign::count).sum();
    let found = format!(
        "0 panics, 0 backend calls without a paid job, memory +{} MiB at most, 0 slashed, all honest served",
        growth.get() / 1024
    );
    let tried = format!("{cases} tricks of hostile peers, {runs} times each");
    Row::new(7, tried, cases as u64 * u64::from(runs), found).report()
}

/// Plays one kind of attacks, and returns how far memory grew, in KiB.
async fn wage(campaign: &Campaign, runs: u32, seed: u64) -> anyhow::Result<u64> {
    // Each rogue is a provider of its own, and the books are made for some dozens of them.
    let at_once = if matches!(campaign, Campaign::Answers(_)) { RUNS.0 } else { runs };
    let (mut growth_kib, mut left, mut round) = (0, runs, 0);
    while left > 0 {
        let now = left.min(at_once);
        growth_kib = growth_kib.max(wage_in_one_market(campaign, now, seed + round).await?);
        (left, round) = (left - now, round + 1);
    }
    Ok(growth_kib)
}

async fn wage_in_one_market(campaign: &Campaign, runs: u32, seed: u64) -> anyhow::Result<u64> {
    let gateway = [("T4T_SELECTION_STRATEGY", "cheapest"), ("T4T_DEFAULT_DEADLINE_SECONDS", "600")];
    let mut siege = Box::pin(Siege::begin(&gateway, &[("T4T_MAX_CONCURRENT_JOBS", "4")])).await?;
    let end = Box::pin(attack(&mut siege, campaign, runs, seed)).await;
    let end = match end {
        Ok(()) => Box::pin(siege.end()).await.map(drop),
        Err(error) => Err(error),
    };
    let scene = &siege.scene;
    end.map_err(|error| {
        error.context(format!("{}\n{}", scene.gateway.process.story(), scene.provider.process.story()))
    })?;
    Ok(siege.growth_kib)
}

async fn attack(siege: &mut Siege, campaign: &Campaign, runs: u32, seed: u64) -> anyhow::Result<()> {
    match campaign {
        Campaign::Messages(side) => {
            for trick in MessageTrick::ALL {
                let mut dice = dice(seed, trick);
                let played = messages::play(siege, *side, *trick, runs, &mut dice);
                Box::pin(played).await.with_context(|| format!("{trick:?}, seed {seed}"))?;
            }
        }
        Campaign::Jobs(tricks) => {
            for trick in *tricks {
                let mut dice = dice(seed, trick);
                let played = jobs::play(siege, *trick, runs, &mut dice);
                Box::pin(played).await.with_context(|| format!("{trick:?}, seed {seed}"))?;
            }
        }
        Campaign::Answers(tricks) => {
            for trick in *tricks {
                let mut dice = dice(seed, trick);
                let played = answers::play(siege, *trick, runs, &mut dice);
                Box::pin(played).await.with_context(|| format!("{trick:?}, seed {seed}"))?;
            }
        }
    }
    Ok(())
}

fn dice(seed: u64, trick: &impl fmt::Debug) -> Dice {
    Dice::new(seed, &format!("{trick:?}"))
}

#[test]
fn there_are_enough_cases() {
    let count = 2 * MessageTrick::ALL.len() + JobTrick::ALL.len() + AnswerTrick::ALL.len();
    assert!(count >= 40, "{count}");
}
