//! Hostile prices: what a provider asks and what record it has made for itself decide nothing beyond the bounds.

use anyhow::{Context, ensure};
use t4t_testkit::chaos::Row;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, Question, RoleSpec, Scene, SceneSpec};
use t4t_testkit::{eventually, processes::PATIENCE};
use t4t_types::{SwarmRef, TokenPrices, Xbzz};

use super::T4T;
use super::rogue::{Rogue, Terms, Trick};
use super::stranger::Stranger;

/// Jobs with which a provider has a record.
const RECORD: u8 = 20;

/// What the honest provider asks.
const USUAL: TokenPrices = TokenPrices {
    input: Xbzz::from_plur(3_000_000_000_000_000),
    output: Xbzz::from_plur(15_000_000_000_000_000),
};

fn times(factor: u128) -> TokenPrices {
    TokenPrices {
        input: Xbzz::from_plur(USUAL.input.plur() * factor),
        output: Xbzz::from_plur(USUAL.output.plur() * factor),
    }
}

/// A scene whose chain makes a block for each transaction.
async fn scene(gateway: RoleSpec<'_>) -> anyhow::Result<Scene> {
    let scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene.world.anvil.set_block_time(None).await?;
    Ok(scene)
}

/// A provider that has paid itself for a good record, which costs gas and nothing else.
async fn seasoned(scene: &Scene, wallet: u32, friend: &Stranger) -> anyhow::Result<Rogue> {
    let terms = Terms { models: &[ECHO], metadata_uri: "", divisor: 1 };
    let rogue = Rogue::enter(&scene.world, wallet, &terms).await?;
    for number in 1..=RECORD {
        let [low, high] = u16::from(number).to_be_bytes();
        let mut hash = [0; 32];
        (hash[0], hash[1], hash[2]) = (low, high, u8::try_from(wallet)?);
        let job = friend.post(&friend.order(rogue.address(), SwarmRef::new(hash)).await?).await?;
        rogue.claim_job(job, SwarmRef::new(hash), Xbzz::from_plur(1)).await?;
    }
    let record = friend.provider(rogue.address()).await?;
    ensure!(record.successful_jobs >= u32::from(RECORD), "no record: {record:?}");
    Ok(rogue)
}

/// Jobs that the gateway gave to a provider.
async fn given(scene: &Scene, rogue: &Rogue) -> anyhow::Result<Vec<JobEntry>> {
    let jobs = scene.world.ledger().jobs().await?;
    let is_theirs = |job: &JobEntry| job.provider == rogue.address() && job.client == scene.gateway.wallet;
    Ok(jobs.into_iter().filter(is_theirs).collect())
}

#[actix_web::test]
async fn a_record_made_for_gas_wins_at_no_price_above_the_others() -> anyhow::Result<()> {
    let mut scene = scene(RoleSpec::gateway()).await?;
    let friend = Stranger::new(&scene.world, 4).await?;
    let rogue = seasoned(&scene, 101, &friend).await?;
    let second = seasoned(&scene, 102, &friend).await?;
    scene
        .play(async |scene: &mut Scene| {
            // Far above everything, at the ceiling, and at three times the honest price.
            for factor in [1_000_000, 10, 3] {
                for one in [&rogue, &second] {
                    one.offer_at(times(factor)).await?;
                }
                scene.gateway.process.restart(&[])?;
                scene.gateway.offers(&scene.world, ECHO).await?;
                for text in ["first", "second"] {
                    let reply = scene.ask(&Question::new(ECHO, text)).await?;
                    ensure!(reply.answer()?.trim() == text, "at {factor} times: {}", reply.body);
                }
                for one in [&rogue, &second] {
                    let given = given(scene, one).await?;
                    ensure!(given.is_empty(), "at {factor} times the rogue got {given:?}");
                }
            }
            Row::new(
                15,
                "two rogues with good records, at 3, 10 and 1,000,000 times the price",
                6,
                "0 jobs given",
            )
            .report()
        })
        .await
}

#[actix_web::test]
async fn the_only_offer_of_a_model_is_not_bought_above_the_ceiling() -> anyhow::Result<()> {
    let mut scene = scene(RoleSpec::gateway()).await?;
    let rogue = Rogue::register(&scene.world, 3).await?;
    scene
        .play(async |scene: &mut Scene| {
            rogue.offer_model_at("rare", times(11)).await?;
            scene.gateway.offers(&scene.world, "rare").await?;
            let reply = scene.ask(&Question::new("rare", "hello")).await?;
            let named = reply.body.contains("T4T_MAX_PRICE_PER_MILLION_TOKENS");
            ensure!(reply.status == 503 && named, "status {}: {}", reply.status, reply.body);
            ensure!(given(scene, &rogue).await?.is_empty(), "something was paid");
            Row::new(15, "the only offer, above the ceiling", 1, "refused before anything was paid").report()
        })
        .await
}

#[actix_web::test]
async fn what_may_be_spent_in_a_day_holds_over_restarts_and_names_its_setting() -> anyhow::Result<()> {
    // A request of this size puts some 2.07 × 10^12 PLUR in escrow, and costs a thirtieth of it.
    let gateway = RoleSpec::gateway().with(&[("T4T_MAX_SPEND_PER_DAY", "2100000000000")]);
    let mut scene = scene(gateway).await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.ask(&Question::new(ECHO, "within the limit")).await?.answer()?;
            for _ in 0..2 {
                let reply = scene.ask(&Question::new(ECHO, "beyond it")).await?;
                let named = reply.body.contains("T4T_MAX_SPEND_PER_DAY");
                ensure!(reply.status == 402 && named, "status {}: {}", reply.status, reply.body);
                scene.gateway.process.restart(&[])?;
                scene.gateway.offers(&scene.world, ECHO).await?;
            }
            let jobs = scene.world.ledger().jobs().await?;
            ensure!(jobs.len() == 1, "more was bought: {jobs:?}");
            Row::new(15, "a day's limit, over two restarts", 2, "0 xBZZ beyond it").report()
        })
        .await
}

/// What a provider answers that names no usable number of tokens, and who answers the app then.
const NO_USAGE: [(Trick, bool); 3] =
    [(Trick::AnswersWithoutUsage, true), (Trick::AnswersWithOddUsage, true), (Trick::AnswersNothing, false)];

#[actix_web::test]
async fn a_whole_escrow_for_an_answer_without_a_usable_usage_is_taken_once() -> anyhow::Result<()> {
    for (trick, rogue_answers) in NO_USAGE {
        let gateway = RoleSpec::gateway().with(&[("T4T_SELECTION_STRATEGY", "cheapest")]);
        let mut scene = scene(gateway).await?;
        let rogue = Rogue::register(&scene.world, 3).await?;
        scene
            .play(async |scene: &mut Scene| {
                scene.gateway.process.restart(&[])?;
                scene.gateway.offers(&scene.world, ECHO).await?;
                let (url, app) = (scene.gateway.url().await?, scene.world.app.clone());
                let asking = async {
                    let first = app.ask(&url, &Question::new(ECHO, "who is honest?")).await?;
                    // Seen by the gateway, not only on the chain.
                    eventually(PATIENCE, "the rogue's claim", async || {
                        let judged = scene.gateway.process.log().contains("paid for what is no answer");
                        judged.then_some(())
                    })
                    .await?;
                    let second = app.ask(&url, &Question::new(ECHO, "and now?")).await?;
                    anyhow::Ok((first, second))
                };
                let (first, second) = tokio::select! {
                    told = asking => told?,
                    stopped = rogue.work(&scene.world, trick) => anyhow::bail!("the rogue stopped: {stopped:?}"),
                };
                let says = if rogue_answers { "what the rogue says" } else { "who is honest?" };
                ensure!(first.answer()?.trim() == says, "{trick:?}: {}", first.body);
                ensure!(first.usage.is_none_or(|usage| usage.total() < 1_000), "{trick:?}: {}", first.body);
                ensure!(second.answer()?.trim() == "and now?", "{trick:?}: {}", second.body);
                let given = given(scene, &rogue).await?;
                ensure!(given.len() == 1, "{trick:?}: asked again: {given:?}");
                Ok(())
            })
            .await
            .with_context(|| format!("{trick:?}"))?;
    }
    let tried = "escrows claimed whole for answers without a usable usage";
    Row::new(15, tried, NO_USAGE.len() as u64, "one price each, barred after it").report()
}
