//! Peers that lie: clients and providers with real keys that speak the protocol as it suits them.
//!
//! No client may burn a provider's stake, get work for nothing or somebody else's answer; no provider may take more than
//! one request's price without an answer.

mod addresses;
mod cases;
mod clients;
mod crowd;
mod dice;
mod kept;
mod messages;
mod prices;
mod providers;
mod rogue;
mod siege;
mod stranger;
mod swapped;
mod vitals;

use anyhow::ensure;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{PATIENCE, Scene, SceneSpec};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// A gateway and a provider that are honest.
async fn scene() -> anyhow::Result<Scene> {
    Scene::start(SceneSpec::new(T4T)).await
}

/// Waits until the provider is free, and checks that it lost nothing and that the books are right.
async fn unharmed(scene: &Scene) -> anyhow::Result<Vec<JobEntry>> {
    let jobs = scene.closed().await?;
    ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
    let registry = scene.world.market.addresses.registry();
    eventually(PATIENCE, "a provider without open jobs", async || {
        let open = registry.open_jobs(scene.world.anvil.rpc(), scene.provider.wallet).await.ok()?;
        (open == 0).then_some(())
    })
    .await?;
    Ok(jobs)
}
