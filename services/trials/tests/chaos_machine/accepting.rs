//! A role on a bad disk takes no new work, says why and what to do, pays and burns nothing, and takes work again by itself.

use std::time::Duration;

use anyhow::ensure;
use t4t_testkit::eventually;
use t4t_testkit::processes::{PATIENCE, RoleSpec, Scene, World, WorldConfig};

use super::T4T;
use super::disk::{Disk, Kind, hold, once, scene_on};
use super::trade::{Side, ask_well, closed};

/// Less than a role wants to have left.
const NEARLY_NOTHING: u64 = 1 << 20;

/// Longer than a writer waits for the database.
const HELD: Duration = Duration::from_secs(25);

/// After three minutes a gateway gives up a plan that no transaction is known of.
const GIVEN_UP: Duration = Duration::from_secs(240);

#[actix_web::test]
async fn a_gateway_on_a_full_disk_pays_nothing_and_says_what_to_do() -> anyhow::Result<()> {
    gateway_refuses(|disk| disk.is(Kind::Full), "free some space").await
}

#[actix_web::test]
async fn a_gateway_on_a_nearly_full_disk_pays_nothing_and_says_what_to_do() -> anyhow::Result<()> {
    gateway_refuses(|disk| disk.has_left(NEARLY_NOTHING), "nearly full (1 MiB left): free some space").await
}

#[actix_web::test]
async fn a_gateway_on_a_read_only_disk_pays_nothing_and_says_what_to_do() -> anyhow::Result<()> {
    gateway_refuses(|disk| disk.is(Kind::ReadOnly), "takes writes").await
}

async fn gateway_refuses(
    begins: impl FnOnce(&Disk) -> anyhow::Result<()>,
    advice: &str,
) -> anyhow::Result<()> {
    let (mut scene, disk) = scene_on(Side::Gateway).await?;
    scene
        .play(async |scene: &mut Scene| {
            ask_well(scene, 0).await?;
            begins(&disk)?;
            let reply = scene.ask(&once("is anybody there?")).await?;
            ensure!(reply.status == 503 && reply.is_clean_error(), "{}: {}", reply.status, reply.body);
            ensure!(
                reply.error.as_ref().is_some_and(|error| error.contains(advice)),
                "no advice: {}",
                reply.body
            );
            ensure!(scene.world.ledger().jobs().await?.len() == 1, "something was paid");
            disk.is_well();
            ask_well(scene, 1).await?;
            closed(scene, 2).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn a_gateway_whose_database_is_held_pays_nothing_and_says_what_to_do() -> anyhow::Result<()> {
    let (mut scene, _disk) = scene_on(Side::Gateway).await?;
    scene
        .play(async |scene: &mut Scene| {
            ask_well(scene, 0).await?;
            let database = scene.gateway.database.clone();
            let held = hold(&database, HELD);
            let question = once("is anybody there?");
            let asked = async {
                let reply = scene.ask(&question).await?;
                ensure!(
                    reply.status == 503 && reply.body.contains("t4t.db"),
                    "{}: {}",
                    reply.status,
                    reply.body
                );
                ensure!(scene.world.ledger().jobs().await?.len() == 1, "something was paid");
                Ok(())
            };
            futures_util::future::try_join(held, asked).await?;
            ask_well(scene, 1).await?;
            // The plan may be written after its app was told that the database is busy; nothing comes of it.
            scene.ledger().closed(GIVEN_UP).await?;
            closed(scene, 2).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn a_provider_on_a_nearly_full_disk_refuses_in_time_and_comes_back() -> anyhow::Result<()> {
    let (mut scene, disk) = scene_on(Side::Provider).await?;
    scene
        .play(async |scene: &mut Scene| {
            ask_well(scene, 0).await?;
            disk.has_left(NEARLY_NOTHING)?;
            scene.provider.process.says("free some space", PATIENCE).await?;
            let reply = scene.ask(&once("is anybody there?")).await?;
            ensure!(reply.is_clean_error(), "{}: {}", reply.status, reply.body);
            disk.is_well();
            scene.provider.process.says("new jobs are taken again", PATIENCE).await?;
            ask_well(scene, 1).await?;
            let jobs = closed(scene, 3).await?;
            let refused = jobs.iter().filter(|job| job.claims == 1 && job.paid.is_zero()).count();
            ensure!(refused == 1, "it was not refused: {jobs:?}");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn nothing_starts_on_a_read_only_disk_and_says_what_to_do() -> anyhow::Result<()> {
    let (mut scene, disk) = scene_on(Side::Gateway).await?;
    disk.is(Kind::ReadOnly)?;
    scene.gateway.process.restart(&[])?;
    let status = scene.gateway.process.ends(PATIENCE).await?;
    let said = scene.gateway.process.log();
    ensure!(status.code() == Some(1) && said.contains("T4T_DATA_DIR"), "{status}: {said}");
    disk.is_well();
    scene.gateway.process.restart(&[])?;
    ask_well(&mut scene, 0).await?;
    closed(&scene, 1).await.map(drop)
}

#[actix_web::test]
async fn the_first_start_on_a_full_disk_says_what_to_do() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let disk = Disk::new(&world, Side::Gateway)?;
    disk.is(Kind::Full)?;
    let variables = disk.variables();
    let spec = RoleSpec::gateway().with(&variables);
    let mut gateway = t4t_testkit::processes::Gateway::start(&world, &spec)?;
    let status = gateway.process.ends(PATIENCE).await?;
    let said = gateway.process.log();
    let is_told = said.contains("free some space") || said.contains("T4T_DATA_DIR");
    ensure!(status.code() == Some(1) && is_told, "{status}: {said}");
    disk.is_well();
    gateway.process.restart(&[])?;
    eventually(PATIENCE, "the gateway", async || gateway.url().await.ok()).await.map(drop)
}
