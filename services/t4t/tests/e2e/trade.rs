//! Requests that are answered, and what they cost.

use anyhow::{Context, bail, ensure};
use t4t_chain::contracts::JobStatus;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::llama::{LLAMA_MODEL, Llama};
use t4t_testkit::processes::{
    ECHO, Gateway, PATIENCE, Provider, Question, Reply, RoleSpec, Scene, SceneSpec, World, WorldConfig,
};
use t4t_types::Xbzz;

use super::{T4T, scene};

/// What a reply costs by its own usage and the provider's prices on the chain.
pub(crate) async fn price_of(
    world: &World,
    provider: t4t_types::Address,
    reply: &Reply,
) -> anyhow::Result<Xbzz> {
    let offers = world.market.addresses.registry().offerings(world.anvil.rpc(), provider).await?;
    let offer = offers.first().context("nothing is offered")?;
    let usage = reply.usage.context("the reply tells no usage")?;
    offer.prices.cost(usage).context("the cost overflows")
}

fn paid(jobs: &[JobEntry]) -> Xbzz {
    jobs.iter().map(|job| job.paid).sum()
}

/// Buys one plain and one streamed answer and compares what was paid with usage × price.
async fn buy_both(
    world: &World,
    url: &url::Url,
    provider: t4t_types::Address,
    model: &str,
) -> anyhow::Result<Xbzz> {
    let plain = world.app.ask(url, &Question::new(model, "one two three four")).await?;
    plain.answer()?;
    let streamed = world.app.ask(url, &Question::new(model, "five six seven").streamed()).await?;
    streamed.answer()?;
    let costs = [price_of(world, provider, &plain).await?, price_of(world, provider, &streamed).await?];
    ensure!(costs.iter().all(|cost| !cost.is_zero()), "an answer cost nothing");
    ensure!(plain.cost == Some(costs[0]), "the gateway says {:?}, usage says {}", plain.cost, costs[0]);
    Ok(costs.into_iter().sum())
}

#[actix_web::test]
async fn a_plain_and_a_streamed_answer_cost_their_usage_to_the_plur() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let url = scene.gateway.url().await?;
            let cost = buy_both(&scene.world, &url, scene.provider.wallet, ECHO).await?;
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 2 && paid(&jobs) == cost, "{jobs:?} for {cost}");
            ensure!(scene.backend.calls() == 2, "{} calls of the backend", scene.backend.calls());
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_real_backend_is_paid_by_what_it_counted() -> anyhow::Result<()> {
    let llama = Llama::start().await?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let mut provider = Provider::start(&world, &RoleSpec::provider(), &llama.url())?;
    provider.started().await?;
    world.on_offer(&[provider.wallet]).await.with_context(|| provider.process.story())?;
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway())?;
    gateway.offers(&world, LLAMA_MODEL).await?;
    world.anvil.set_block_time(Some(1)).await?;
    let url = gateway.url().await?;
    let bought = buy_both(&world, &url, provider.wallet, LLAMA_MODEL).await;
    let cost =
        bought.with_context(|| format!("{}\n{}", gateway.process.story(), provider.process.story()))?;
    let ledger =
        world.ledger().buyer(gateway.wallet, &gateway.database).seller(provider.wallet, &provider.database);
    let jobs = ledger.closed(PATIENCE).await?;
    ensure!(jobs.len() == 2 && paid(&jobs) == cost, "{jobs:?} for {cost}");
    world.keeps_its_keys()
}

#[actix_web::test]
async fn the_next_provider_answers_where_the_first_one_fails() -> anyhow::Result<()> {
    let broken = ScriptedBackend::start(Behaviour::Refuse(500, "out of memory".into())).await?;
    // The failing one is the cheaper one, so that it is asked first.
    let cheap =
        [("T4T_INPUT_PRICE_DEFAULT", "2000000000000000"), ("T4T_OUTPUT_PRICE_DEFAULT", "9000000000000000")];
    let gateway = RoleSpec::gateway().with(&[("T4T_SELECTION_STRATEGY", "cheapest")]);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    let failing = scene.another_provider(&RoleSpec::second_provider().with(&cheap), &broken.url()).await?;
    scene
        .play(async |scene: &mut Scene| {
            // A gateway that starts now knows both.
            scene.gateway.process.restart(&[])?;
            scene.gateway.offers(&scene.world, ECHO).await?;
            let reply = scene.ask(&Question::new(ECHO, "who answers?")).await?;
            ensure!(reply.answer()? == "who answers? ", "{}", reply.body);
            ensure!(reply.attempts == Some(2), "{:?} attempts", reply.attempts);
            let ledger = scene.ledger().seller(failing.wallet, &failing.database);
            let jobs = ledger.closed(PATIENCE).await?;
            let refused = jobs.iter().find(|job| job.provider == failing.wallet).context("not asked")?;
            ensure!(refused.status == JobStatus::Claimed && refused.paid.is_zero(), "{refused:?}");
            ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
            Ok(())
        })
        .await
        .with_context(|| failing.process.story())
}

#[actix_web::test]
async fn the_same_key_is_one_job_even_after_a_restart() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let question = Question::new(ECHO, "only once").keyed("order-1");
            let first = scene.ask(&question).await?;
            let second = scene.ask(&question).await?;
            scene.gateway.process.restart(&[])?;
            let third = scene.ask_until_told(&question, PATIENCE).await?;
            for reply in [&first, &second, &third] {
                ensure!(reply.answer()? == "only once ", "{}", reply.body);
            }
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 1 && scene.backend.calls() == 1, "{jobs:?}");
            let fourth = scene.ask(&question).await?;
            fourth.answer()?;
            ensure!(scene.closed().await?.len() == 1, "a settled job was bought again");
            let other = scene.ask(&Question::new(ECHO, "something else").keyed("order-1")).await?;
            ensure!(other.status == 409, "another request with the same key: {}", other.body);
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn an_app_that_gave_up_gets_the_answer_that_it_pays_for() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let (url, question) = (scene.gateway.url().await?, Question::new(ECHO, "patience"));
            scene.backend.hold();
            let works = eventually(PATIENCE, "the backend works", async || {
                (scene.backend.open_calls() == 1).then_some(())
            });
            tokio::select! {
                reply = scene.world.app.ask(&url, &question) => bail!("answered: {}", reply?.body),
                works = works => works?,
            }
            let log = eventually(PATIENCE, "the log says what that left behind", async || {
                let log = scene.gateway.process.log();
                log.contains("app hung up").then_some(log)
            });
            let log = log.await?;
            ensure!(log.contains("are in escrow and can't be called back"), "{log}");
            scene.backend.release();
            let reply = scene.ask(&question).await?;
            ensure!(reply.answer()? == "patience ", "{}", reply.body);
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 1 && scene.backend.calls() == 1, "{jobs:?}");
            scene.ask(&question).await?.answer()?;
            ensure!(scene.closed().await?.len() == 2, "an answer that was read was given again");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn requests_side_by_side_are_all_answered_and_all_paid() -> anyhow::Result<()> {
    let provider = RoleSpec::provider().with(&[("T4T_MAX_CONCURRENT_JOBS", "4")]);
    let mut scene = Scene::start(SceneSpec { provider, ..SceneSpec::new(T4T) }).await?;
    scene
        .play(async |scene: &mut Scene| {
            let url = scene.gateway.url().await?;
            let texts: Vec<String> = (0..8).map(|number| format!("question number {number}")).collect();
            let asked = texts.iter().map(|text| {
                let (app, url) = (scene.world.app.clone(), url.clone());
                async move { app.ask(&url, &Question::new(ECHO, text)).await }
            });
            let replies = futures_util::future::join_all(asked).await;
            let mut cost = Xbzz::ZERO;
            for (reply, text) in replies.into_iter().zip(&texts) {
                let reply = reply?;
                ensure!(reply.answer()?.trim() == text, "{text} was answered with {}", reply.body);
                cost = cost.saturating_add(price_of(&scene.world, scene.provider.wallet, &reply).await?);
            }
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 8 && paid(&jobs) == cost, "{jobs:?} for {cost}");
            Ok(())
        })
        .await
}
