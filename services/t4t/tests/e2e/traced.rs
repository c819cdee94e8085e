//! Five services in processes of their own on each side, and one id on the lines of all that work on a request.

use anyhow::{Context, ensure};
use serde_json::json;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::processes::{Apart, ECHO, PATIENCE, Process, RoleSpec, World, WorldConfig, build_services};

use super::T4T;

/// What the app calls its request.
const ID: &str = "app-1.2:3";

/// Every line that somebody may look for.
const LOGS: [(&str, &str); 1] = [("LOG_LEVEL", "debug")];

/// Asks under the app's id; the job that the answer names.
async fn ask(gateway: &Apart) -> anyhow::Result<String> {
    let body = json!({ "model": ECHO, "messages": [{ "role": "user", "content": "follow me" }] });
    let request = t4t_outbound::direct().build()?.post(gateway.url.join("/v1/chat/completions")?);
    let reply = request.header("x-request-id", ID).json(&body).send().await?;
    let header =
        |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (id, job) = (header("x-request-id"), header("x-t4t-job"));
    let status = reply.status();
    ensure!(status == 200, "{status}: {}", reply.text().await?);
    ensure!(id.as_deref() == Some(ID), "the app's id came back as {id:?}");
    job.context("the answer names no job")
}

/// Waits until each process has a line about the work with this id.
async fn all_name(processes: &[Process], id: &str) -> anyhow::Result<()> {
    let named = format!("request{{id={id}}}");
    let silent = || {
        let silent = processes.iter().filter(|process| !process.whole_log().contains(&named));
        silent.map(Process::name).collect::<Vec<_>>()
    };
    let all = eventually(PATIENCE, "each service to log the id", async || silent().is_empty().then_some(()));
    all.await.with_context(|| format!("{id} is on no line of {:?}", silent()))
}

#[actix_web::test]
async fn the_same_id_is_on_the_lines_of_every_service_that_works_on_a_request() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let provider = Apart::provider(&world, &RoleSpec::provider().with(&LOGS), &backend.url()).await?;
    world.on_offer(&[provider.wallet]).await.with_context(|| provider.story())?;
    let gateway = Apart::gateway(&world, &RoleSpec::gateway().with(&LOGS)).await?;
    let stories = || format!("{}\n{}", gateway.story(), provider.story());
    super::apart::is_listed(&world, &gateway.url).await.with_context(stories)?;
    world.anvil.set_block_time(Some(1)).await?;
    let job = ask(&gateway).await.with_context(stories)?;
    // Edge, dispatcher, watcher and settlement of the gateway.
    all_name(&gateway.processes, ID).await?;
    // The provider knows the request by its job alone, and the app was told that name: dispatcher, watcher, settlement and
    // runner.
    all_name(&provider.processes, &job).await?;
    let crossed = provider.processes.iter().any(|process| process.whole_log().contains(ID));
    ensure!(!crossed, "the app's own id left the gateway");
    Ok(())
}
