//! Many jobs, each role in a process of its own: whether what they hold grows.

use std::time::Duration;

use t4t_clock::{Clock, SystemClock};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::processes::{ECHO, Gateway, Provider, RoleSpec, World, WorldConfig};

use crate::dev::{T4T, ask, log_level};
use crate::memory::Memory;
use crate::samples::Samples;

const ROUNDS: u32 = 10;

const JOBS: u32 = 100;

/// What comes after an answer is over after so long.
const SETTLE: Duration = Duration::from_secs(25);

/// Runs 1,000 jobs and says after each hundred what both roles hold.
pub(crate) async fn measure() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let log_level = log_level();
    let variables = [("LOG_LEVEL", log_level.as_str())];
    let provider = Provider::start(&world, &RoleSpec::provider().with(&variables), &backend.url())?;
    world.on_offer(&[provider.wallet]).await?;
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
    gateway.offers(&world, ECHO).await?;
    let base = gateway.url().await?;
    let show = |jobs: u32| -> anyhow::Result<()> {
        let (bought, sold) = (Memory::of(&gateway.process)?, Memory::of(&provider.process)?);
        println!("after {jobs} jobs: gateway {bought}, provider {sold}");
        Ok(())
    };
    show(0)?;
    for round in 1..=ROUNDS {
        let mut taken = Vec::new();
        for _ in 0..JOBS {
            taken.push(ask(&world.app, &base).await?.1);
        }
        println!("{}", taken.into_iter().collect::<Samples>());
        show(round * JOBS)?;
    }
    SystemClock.sleep(SETTLE).await;
    show(ROUNDS * JOBS)
}
