//! Honest apps while the gateway is attacked.

use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::chaos::{Form, Row};
use t4t_testkit::eventually;
use t4t_testkit::processes::{Scene, SceneSpec};

use super::attacks::Attack;
use super::gauge::Gauge;
use super::honest::{self, Compared};
use super::raw::address;
use super::{ROW, T4T};

/// Idle connections of the attack.
const IDLE: usize = 10_000;

/// Files that the test itself needs beside them.
const OWN_FILES: usize = 1_000;

/// What honest apps may wait longer than twice: in the long form next to nothing, in the short one as much as a machine
/// that does other work too may take from a handful of questions.
const SLACK: Duration = Duration::from_millis(50);
const BUSY_SLACK: Duration = Duration::from_secs(1);

/// Measured so often at most: other work on the machine falls into some measurement, an attack's work into all.
const TRIES: usize = 3;

/// Memory that an attack may take, in KiB.
const MEMORY: u64 = 160 << 10;

/// Connections of the gateway at most: its own, those that are about to be closed, and the system's queue.
const CONNECTIONS: usize = 1024 + 64 + 2048;

/// How long the gateway may take to be as it was before.
const PATIENCE: Duration = Duration::from_secs(60);

/// As many files as this process may have.
fn raise_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("a limit may be raised to its maximum");
    limit.maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[actix_web::test]
async fn honest_apps_are_served_as_before_under_every_attack() -> anyhow::Result<()> {
    let idle = IDLE.min(raise_files().saturating_sub(OWN_FILES));
    let attacks = [
        Attack::Idle(idle),
        Attack::SlowHeads(800),
        Attack::SlowBodies(800),
        Attack::SlowReaders(8),
        Attack::EndlessBodies(4),
        Attack::Garbage(8),
    ];
    withstands_all(&attacks).await
}

#[actix_web::test]
async fn honest_apps_are_answered_and_memory_is_bounded_beside_pipelines() -> anyhow::Result<()> {
    withstands_all(&[Attack::Pipelines(200)]).await
}

async fn withstands_all(attacks: &[Attack]) -> anyhow::Result<()> {
    let seconds = Form::from_env().runs(5, 600)?;
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene.world.anvil.set_block_time(None).await?;
    let mut failed = Vec::new();
    for attack in attacks.iter().copied() {
        match withstands(&mut scene, attack, Duration::from_secs(seconds.into())).await {
            Ok(found) => Row::new(ROW, attack.to_string(), 1, found).report()?,
            Err(error) => failed.push(format!("{attack}: {error:#}")),
        }
    }
    scene.world.anvil.set_block_time(Some(1)).await?;
    scene.closed().await.with_context(|| scene.gateway.process.story())?;
    scene.world.keeps_its_keys()?;
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

async fn withstands(scene: &mut Scene, attack: Attack, time: Duration) -> anyhow::Result<String> {
    let url = scene.gateway.url().await?;
    let (address, process) = (address(&url)?, scene.gateway.process.id());
    // The first questions open what stays open.
    honest::ask(&url, Duration::from_millis(200)).await?;
    let before = Gauge::read(process, address)?;
    let mut tried = Vec::new();
    for _ in 0..TRIES {
        let usual = honest::ask(&url, time.min(Duration::from_secs(30))).await?.p99();
        let running = attack.start(address);
        eventually(PATIENCE, "the attack to be under way", async || running.is_ready().then_some(())).await?;
        SystemClock.sleep(Duration::from_secs(1)).await;
        // Answers that were bought are made first: what they take of the provider is no matter of the gateway's port.
        let worked_off = eventually(PATIENCE, "the provider to have nothing to do", async || {
            (scene.backend.open_calls() == 0 && scene.world.settled(Duration::ZERO).await.is_ok())
                .then_some(())
        });
        worked_off.await?;
        let mut waits = honest::ask(&url, time).await?;
        let during = Gauge::read(process, address)?;
        let compared = Compared { before: usual, during: waits.p99() };
        let (asked, reopened) = (waits.count(), running.reopened());
        drop(running);
        let after = recovers(process, address, before).await?;
        ensure!(during.connections <= CONNECTIONS, "{during}");
        let grown = during.memory.saturating_sub(before.memory);
        ensure!(grown < MEMORY, "{} MB more memory", grown / 1024);
        let found = format!(
            "{compared}, {asked} asked and all answered; {during}, then {after}; {reopened} times turned away or closed"
        );
        eprintln!("{attack}: {found}");
        let slack = if Form::from_env() == Form::Full { SLACK } else { BUSY_SLACK };
        if compared.holds(slack) {
            return Ok(found);
        }
        tried.push(compared.to_string());
    }
    anyhow::bail!("honest apps wait: {}", tried.join("; "))
}

/// Waits until connections and open files are as they were.
async fn recovers(process: u32, address: std::net::SocketAddr, before: Gauge) -> anyhow::Result<Gauge> {
    // Honest apps' own connections come and go.
    const MORE: usize = 16;
    let mut last = before;
    let recovered = eventually(PATIENCE, "connections and files as before", async || {
        last = Gauge::read(process, address).ok()?;
        let files = last.files.zip(before.files).is_none_or(|(now, then)| now <= then + 2 * MORE);
        (files && last.connections <= before.connections + MORE).then_some(last)
    });
    recovered.await.with_context(|| format!("{before} before, {last} after"))
}
