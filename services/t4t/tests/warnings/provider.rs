//! A provider that runs short refuses before it costs stake.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use t4t_bee_dev::{Faults, StampsEnd};
use t4t_chain::contracts::JobStatus;
use t4t_chain::deploy;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::processes::{ECHO, PATIENCE, Question, RoleSpec, Scene, SceneSpec, World, WorldConfig};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};
use t4t_testkit::{eventually, ledger::JobEntry};

use crate::{T4T, answered, board};

/// Gas for a few refusals, and not for all that may come.
const LITTLE_WEI: u128 = 2_000_000_000_000_000;

const PLENTY_WEI: u128 = 1_000_000_000_000_000_000_000;

/// The provider's Swarm node.
const NODE: usize = 1;

const REFUSES: &str = "no new jobs are taken";

const TAKES_AGAIN: &str = "new jobs are taken again";

/// Asks while the provider is short: the job is refused, and no stake is burned.
async fn is_refused_without_loss(scene: &mut Scene) -> anyhow::Result<()> {
    let reply = scene.ask(&Question::new(ECHO, "will you?")).await?;
    ensure!(reply.is_clean_error(), "status {}: {}", reply.status, reply.body);
    let jobs = scene.closed().await?;
    let last = jobs.last().context("no job was posted")?;
    ensure!(last.paid.is_zero() && last.status == JobStatus::Claimed, "it was not refused: {last:?}");
    nothing_burned(&jobs)
}

fn nothing_burned(jobs: &[JobEntry]) -> anyhow::Result<()> {
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    Ok(())
}

/// Says it loudly, with what to do.
async fn says_so(scene: &mut Scene, next_step: &str) -> anyhow::Result<()> {
    let said = scene.provider.process.says(REFUSES, PATIENCE).await?;
    let line = said.lines().find(|line| line.contains(REFUSES)).unwrap_or_default();
    ensure!(line.contains("ERROR") && line.contains(next_step), "{line}");
    Ok(())
}

async fn comes_back(scene: &mut Scene) -> anyhow::Result<()> {
    scene.provider.process.says(TAKES_AGAIN, PATIENCE).await?;
    let board = board::of_provider(&mut scene.provider.process).await?;
    board::shows(&board, None).await?;
    answered(scene).await?;
    nothing_burned(&scene.closed().await?)
}

pub(crate) async fn without_gas() -> anyhow::Result<String> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.world.anvil.set_balance(scene.provider.wallet, LITTLE_WEI).await?;
            says_so(scene, "send it at least").await?;
            let board = board::of_provider(&mut scene.provider.process).await?;
            board::shows(&board, Some("too little xDAI")).await?;
            is_refused_without_loss(scene).await?;
            scene.world.anvil.set_balance(scene.provider.wallet, PLENTY_WEI).await?;
            comes_back(scene).await?;
            Ok("refused, said so, came back".to_owned())
        })
        .await
}

pub(crate) async fn without_stamp() -> anyhow::Result<String> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            let end = Some(StampsEnd { node: NODE, seconds_left: 600 });
            scene.world.bee.faults().set(Faults { stamps_end: end, ..Faults::realistic() });
            says_so(scene, "POSTAGE_BATCH_ID").await?;
            let board = board::of_provider(&mut scene.provider.process).await?;
            board::shows(&board, Some("postage batch")).await?;
            is_refused_without_loss(scene).await?;
            scene.world.bee.faults().set(Faults::realistic());
            comes_back(scene).await?;
            Ok("refused, said so, came back".to_owned())
        })
        .await
}

pub(crate) async fn without_chain() -> anyhow::Result<String> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let proxy = RpcProxy::start(world.anvil.rpc_url(), 1).await?;
    let url = proxy.url().to_string();
    let variables = [("GNOSIS_RPC_URL", url.as_str())];
    let provider = RoleSpec::provider().with(&variables);
    let mut scene = Scene::start_in(world, &RoleSpec::gateway(), &provider).await?;
    scene
        .play(async |scene: &mut Scene| {
            let board = board::of_provider(&mut scene.provider.process).await?;
            board::shows(&board, None).await?;
            proxy.set(RpcFault::ServerError, 1.0);
            let shown = board::shows(&board, Some("the chain can't be reached")).await?;
            ensure!(shown.contains("GNOSIS_RPC_URL"), "{shown}");
            let said = scene.provider.process.says("the chain can't be reached", PATIENCE).await?;
            let line = said.lines().find(|line| line.contains("the chain can't be reached"));
            ensure!(line.is_some_and(|line| line.contains("ERROR")), "{line:?}");
            proxy.heal();
            board::shows(&board, None).await?;
            answered(scene).await?;
            nothing_burned(&scene.closed().await?)?;
            Ok("said so, came back".to_owned())
        })
        .await
}

/// Gas becomes so dear for half a minute that no claim gets into a block.
pub(crate) async fn with_a_late_claim() -> anyhow::Result<String> {
    let gateway = RoleSpec::gateway().with(&[("T4T_DEFAULT_DEADLINE_SECONDS", "110")]);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.backend.set_token_delay(Duration::from_secs(1));
            let url = scene.gateway.url().await?;
            let app = scene.world.app.clone();
            let question = Question::new(ECHO, "one two three four five six");
            let asking = app.ask(&url, &question);
            let stalling = async {
                let books = scene.world.ledger();
                eventually(PATIENCE, "an acknowledged job", async || {
                    books.jobs().await.ok()?.iter().any(|job| job.status == JobStatus::Acked).then_some(())
                })
                .await?;
                let dear = json!([format!("{:#x}", 20_000_000_000_000_u64)]);
                let set = scene
                    .world
                    .anvil
                    .rpc()
                    .call::<serde_json::Value>("anvil_setNextBlockBaseFeePerGas", dear);
                set.await?;
                anyhow::Ok(())
            };
            let (reply, stalled) = futures_util::future::join(asking, stalling).await;
            stalled?;
            reply?.answer()?;
            scene.provider.process.says("its stake is at risk", PATIENCE).await?;
            says_so(scene, "GNOSIS_RPC_URL and the wallet's xDAI").await?;
            let board = board::of_provider(&mut scene.provider.process).await?;
            board::shows(&board, Some("is in no block")).await?;
            scene.backend.set_token_delay(Duration::ZERO);
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 1 && !jobs[0].paid.is_zero(), "the claim was lost: {jobs:?}");
            comes_back(scene).await?;
            Ok("said so, was paid, came back".to_owned())
        })
        .await
}

/// Leaves the market with another program, takes its stake back, and registers again in the same process.
pub(crate) async fn that_left_and_came_back() -> anyhow::Result<String> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            let (rpc, key) = (scene.world.anvil.rpc(), dev_key(NODE as u32));
            let registry = scene.world.market.addresses.registry();
            deploy::transact(rpc, &key, &registry.deactivate()).await?;
            says_so(scene, "withdraw the stake").await?;
            scene.world.anvil.advance_time(UNBONDING_SECONDS).await?;
            let rpc = scene.world.anvil.rpc();
            deploy::transact(rpc, &key, &registry.withdraw_stake()).await?;
            scene.provider.process.says(TAKES_AGAIN, PATIENCE).await?;
            let record = registry.provider(rpc, scene.provider.wallet).await?;
            ensure!(record.active && !record.stake.is_zero(), "{record:?}");
            Ok("registered again".to_owned())
        })
        .await
}

/// Longer than any unbonding period of ours.
const UNBONDING_SECONDS: u64 = 60 * 24 * 3600;
