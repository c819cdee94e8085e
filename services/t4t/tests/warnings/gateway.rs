//! A gateway that runs short says so to its apps before it pays anything.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::ensure;
use t4t_bee_dev::{Faults, StampsEnd};
use t4t_clock::{SystemClock, timeout};
use t4t_testkit::eventually;
use t4t_testkit::processes::{ECHO, PATIENCE, Question, RoleSpec, Scene, SceneSpec, World, WorldConfig};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};

use crate::{T4T, answered, board};

const PLENTY_WEI: u128 = 1_000_000_000_000_000_000_000;

/// Asks while the gateway is short: the error has this status and names this, and nothing is paid.
async fn is_told(scene: &mut Scene, statuses: &[u16], next_step: &str) -> anyhow::Result<()> {
    let before = scene.world.ledger().jobs().await?.len();
    let reply = scene.ask(&Question::new(ECHO, "can you pay?")).await?;
    let error = reply.error.clone().unwrap_or_default();
    ensure!(statuses.contains(&reply.status), "status {}: {}", reply.status, reply.body);
    ensure!(error.contains(next_step), "{error}");
    ensure!(scene.world.ledger().jobs().await?.len() == before, "something was paid");
    Ok(())
}

async fn comes_back(scene: &mut Scene) -> anyhow::Result<String> {
    let board = board::of_gateway(&mut scene.gateway.process).await?;
    board::shows(&board, None).await?;
    answered(scene).await?;
    let jobs = scene.closed().await?;
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    Ok("said so, paid nothing, came back".to_owned())
}

pub(crate) async fn without_gas() -> anyhow::Result<String> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            answered(scene).await?;
            scene.world.anvil.set_balance(scene.gateway.wallet, 0).await?;
            // What was read before may still seem enough for a purchase, which then waits for gas; the next one is told.
            // Each asks something else: the same again would join what the one before it left.
            let asked = AtomicU32::new(0);
            eventually(PATIENCE, "402", async || {
                let text = format!("can you? {}", asked.fetch_add(1, Ordering::Relaxed));
                let question = Question::new(ECHO, &text);
                let asking = Box::pin(scene.ask(&question));
                let reply = timeout(&SystemClock, Duration::from_secs(5), asking).await.ok()?.ok()?;
                (reply.status == 402).then_some(())
            })
            .await?;
            is_told(scene, &[402], "send xDAI to it").await?;
            scene.world.anvil.set_balance(scene.gateway.wallet, PLENTY_WEI).await?;
            comes_back(scene).await
        })
        .await
}

pub(crate) async fn without_stamp() -> anyhow::Result<String> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            let end = Some(StampsEnd { node: 0, seconds_left: 600 });
            scene.world.bee.faults().set(Faults { stamps_end: end, ..Faults::realistic() });
            let board = board::of_gateway(&mut scene.gateway.process).await?;
            board::shows(&board, Some("postage batch")).await?;
            is_told(scene, &[503], "POSTAGE_BATCH_ID").await?;
            scene.world.bee.faults().set(Faults::realistic());
            comes_back(scene).await
        })
        .await
}

pub(crate) async fn without_chain() -> anyhow::Result<String> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let proxy = RpcProxy::start(world.anvil.rpc_url(), 1).await?;
    let url = proxy.url().to_string();
    let variables = [("GNOSIS_RPC_URL", url.as_str())];
    let gateway = RoleSpec::gateway().with(&variables);
    let mut scene = Scene::start_in(world, &gateway, &RoleSpec::provider()).await?;
    scene
        .play(async |scene: &mut Scene| {
            proxy.set(RpcFault::ServerError, 1.0);
            let board = board::of_gateway(&mut scene.gateway.process).await?;
            board::shows(&board, Some("GNOSIS_RPC_URL")).await?;
            is_told(scene, &[502, 503], "GNOSIS_RPC_URL").await?;
            proxy.heal();
            comes_back(scene).await
        })
        .await
}
