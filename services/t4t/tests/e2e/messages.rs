//! What is missing is named, with what to do about it.

use anyhow::ensure;
use t4t_bee_dev::Faults;
use t4t_testkit::anvil::{AnvilConfig, dev_key};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::processes::{
    ECHO, Gateway, PATIENCE, Provider, Question, RoleSpec, Scene, SceneSpec, World, WorldConfig,
};
use t4t_types::Xbzz;

use super::T4T;

/// A development wallet that nobody gave xBZZ.
const PENNILESS: u32 = 20;

#[actix_web::test]
async fn a_wrong_chain_ends_the_start_of_both_roles() -> anyhow::Result<()> {
    let anvil = AnvilConfig { chain_id: 1234, ..AnvilConfig::default() };
    let world = World::start(WorldConfig { anvil, ..WorldConfig::new(T4T) }).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway())?;
    let mut provider = Provider::start(&world, &RoleSpec::provider(), &backend.url())?;
    for process in [&mut gateway.process, &mut provider.process] {
        let status = process.ends(PATIENCE).await?;
        let said = process.log();
        ensure!(!status.success(), "{said}");
        ensure!(said.contains("1234") && said.contains("100"), "both chains are named:\n{said}");
    }
    Ok(())
}

#[actix_web::test]
async fn an_empty_wallet_is_told_to_the_app_and_nothing_is_posted() -> anyhow::Result<()> {
    let gateway = RoleSpec { wallet: PENNILESS, ..RoleSpec::gateway() };
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene
        .play(async |scene: &mut Scene| {
            let reply = scene.ask(&Question::new(ECHO, "for free?")).await?;
            ensure!(reply.status == 402, "status {}: {}", reply.status, reply.body);
            ensure!(reply.body.contains("xBZZ"), "{}", reply.body);
            ensure!(scene.closed().await?.is_empty(), "a job was posted without money");
            // Money comes, and the next request is answered without a restart.
            scene.world.market.fund(dev_key(PENNILESS).address(), Xbzz::from_whole(5)).await?;
            let reply = scene.ask_until_paid(ECHO).await?;
            reply.answer()?;
            scene.closed().await?;
            Ok(())
        })
        .await
}

/// Asks until the wallet is known to have money.
trait AskUntilPaid {
    async fn ask_until_paid(&mut self, model: &str) -> anyhow::Result<t4t_testkit::processes::Reply>;
}

impl AskUntilPaid for Scene {
    async fn ask_until_paid(&mut self, model: &str) -> anyhow::Result<t4t_testkit::processes::Reply> {
        eventually(PATIENCE, "an answer after money came", async || {
            let reply = self.ask(&Question::new(model, "now with money")).await.ok()?;
            (reply.status != 402).then_some(reply)
        })
        .await
    }
}

#[actix_web::test]
async fn postage_that_is_not_there_is_named_on_both_sides() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let variables = [("T4T_STAMP_MANAGE", "false")];
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
    let mut provider = Provider::start(&world, &RoleSpec::provider().with(&variables), &backend.url())?;
    for process in [&mut gateway.process, &mut provider.process] {
        let said = process.says("no usable postage batch", PATIENCE).await?;
        ensure!(said.contains("T4T_STAMP_MANAGE=true"), "{said}");
    }
    Ok(())
}

#[actix_web::test]
async fn postage_that_is_full_is_a_clean_error_and_costs_nothing() -> anyhow::Result<()> {
    let gateway = RoleSpec::gateway().with(&[("T4T_STAMP_DEPTH", "20"), ("T4T_STAMP_MAX_DEPTH", "20")]);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.world.bee.faults().set(Faults { stamp_full: true, ..Faults::realistic() });
            let reply = scene.ask(&Question::new(ECHO, "where to?")).await?;
            ensure!(reply.is_clean_error(), "status {}: {}", reply.status, reply.body);
            scene.world.bee.faults().set(Faults::realistic());
            let jobs = scene.closed().await?;
            ensure!(jobs.iter().all(|job| job.paid.is_zero() && job.slashed.is_zero()), "{jobs:?}");
            scene.ask(&Question::new(ECHO, "and now?")).await?.answer()?;
            Ok(())
        })
        .await
}
