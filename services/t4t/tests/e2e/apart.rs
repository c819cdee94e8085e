//! Five services in processes of their own on each side, wired over HTTP, trade as one process does.

use anyhow::{Context, ensure};
use t4t_api::inference_runner::GetRunnerStatus;
use t4t_api::job_dispatcher::{BuyAnswer, GetSellingStatus, RegisterRunner};
use t4t_api::registry_watcher::GetHead;
use t4t_api::settlement::{GetAccount, SubmitTransaction};
use t4t_api::{Call, StreamCall};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::processes::{
    Apart, ECHO, PATIENCE, Process, Question, RUNNER_TOKEN, Recipe, RoleSpec, SERVICE_TOKEN, World,
    WorldConfig, build_services,
};

use super::T4T;
use super::trade::price_of;

pub(super) async fn is_listed(world: &World, url: &url::Url) -> anyhow::Result<()> {
    eventually(PATIENCE, "the model in the gateway's list", async || {
        world.app.models(url).await.ok()?.iter().any(|model| model == ECHO).then_some(())
    })
    .await
}

#[actix_web::test]
async fn services_apart_answer_and_are_paid_to_the_plur() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let provider = Apart::provider(&world, &RoleSpec::provider(), &backend.url()).await?;
    world.on_offer(&[provider.wallet]).await.with_context(|| provider.story())?;
    let gateway = Apart::gateway(&world, &RoleSpec::gateway()).await?;
    let stories = || format!("{}\n{}", gateway.story(), provider.story());
    is_listed(&world, &gateway.url).await.with_context(stories)?;
    world.anvil.set_block_time(Some(1)).await?;
    let plain = world.app.ask(&gateway.url, &Question::new(ECHO, "over five wires")).await?;
    ensure!(plain.answer().with_context(stories)? == "over five wires ", "{}", plain.body);
    let streamed = world.app.ask(&gateway.url, &Question::new(ECHO, "and in pieces").streamed()).await?;
    ensure!(streamed.answer().with_context(stories)? == "and in pieces ", "{}", streamed.body);
    let mut cost = price_of(&world, provider.wallet, &plain).await?;
    cost = cost.saturating_add(price_of(&world, provider.wallet, &streamed).await?);
    let ledger =
        world.ledger().buyer(gateway.wallet, &gateway.database).seller(provider.wallet, &provider.database);
    let jobs = ledger.closed(PATIENCE).await.with_context(stories)?;
    ensure!(jobs.iter().map(|job| job.paid).sum::<t4t_types::Xbzz>() == cost, "{jobs:?} for {cost}");
    world.keeps_its_keys()
}

#[actix_web::test]
async fn a_service_refuses_who_does_not_know_the_token() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let gateway = Apart::gateway(&world, &RoleSpec::gateway()).await?;
    let http = reqwest::Client::new();
    let paths = [GetHead::PATH, GetAccount::PATH, BuyAnswer::PATH];
    for (address, path) in gateway.addresses.iter().zip(paths) {
        let asked = async |token: &str| {
            let request = http.post(address.join(path)?).bearer_auth(token).json(&serde_json::json!({}));
            anyhow::Ok(request.send().await?.status().as_u16())
        };
        for wrong in ["", "wrong", &SERVICE_TOKEN[1..]] {
            ensure!(asked(wrong).await? == 401, "{path} takes {wrong:?}");
        }
        ensure!(asked(SERVICE_TOKEN).await? != 401, "{path} does not take the token");
    }
    Ok(())
}

/// The status that a message gets with a token.
async fn asked(address: &url::Url, path: &str, token: &str, body: &serde_json::Value) -> anyhow::Result<u16> {
    let http = t4t_outbound::direct().build()?;
    Ok(http.post(address.join(path)?).bearer_auth(token).json(body).send().await?.status().as_u16())
}

#[actix_web::test]
async fn a_runners_token_opens_nothing_but_its_registration() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let provider = Apart::provider(&world, &RoleSpec::provider(), &backend.url()).await?;
    let [watcher, settlement, dispatcher, runner] = &provider.addresses[..] else {
        anyhow::bail!("a provider has four services")
    };
    let nothing = serde_json::json!({});
    // What a taken-over runner would like to do.
    let heartbeat = serde_json::json!({ "key": "heartbeat:1", "intent": { "intent": "heartbeat" } });
    for (address, path, body) in [
        (settlement, SubmitTransaction::PATH, &heartbeat),
        (settlement, GetAccount::PATH, &nothing),
        (watcher, GetHead::PATH, &nothing),
        (dispatcher, GetSellingStatus::PATH, &nothing),
        (dispatcher, BuyAnswer::PATH, &nothing),
    ] {
        let status = asked(address, path, RUNNER_TOKEN, body).await?;
        ensure!(status == 401 || status == 404, "{path} answers {status} to a runner's token");
    }
    // What it does, and what the token of the others does not open.
    for (address, path) in [(dispatcher, RegisterRunner::PATH), (runner, GetRunnerStatus::PATH)] {
        ensure!(
            asked(address, path, RUNNER_TOKEN, &nothing).await? != 401,
            "{path} refuses the runner's token"
        );
        ensure!(
            asked(address, path, SERVICE_TOKEN, &nothing).await? == 401,
            "{path} takes the others' token"
        );
    }
    // Nobody who may ask for jobs may empty the wallet.
    let to = "0x7777777777777777777777777777777777777777";
    for intent in [
        serde_json::json!({ "intent": "send", "token": "xbzz", "to": to, "amount": "1" }),
        serde_json::json!({ "intent": "send", "token": "xdai", "to": to, "amount": "1" }),
        serde_json::json!({ "intent": "approve", "spender": to, "amount": "1" }),
    ] {
        let message = serde_json::json!({ "key": "send:1", "intent": intent });
        let status = asked(settlement, SubmitTransaction::PATH, SERVICE_TOKEN, &message).await?;
        ensure!(status == 400, "settlement answers {status} to {message}");
    }
    Ok(())
}

#[actix_web::test]
async fn a_service_without_a_token_does_not_start_and_says_what_to_set() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let services = [
        ("registry-watcher", "T4T_SERVICE_TOKEN"),
        ("settlement", "T4T_SERVICE_TOKEN"),
        ("job-dispatcher", "T4T_SERVICE_TOKEN"),
        ("openai-api", "T4T_SERVICE_TOKEN"),
        ("inference-runner", "T4T_RUNNER_TOKEN"),
    ];
    for (service, setting) in services {
        for token in [None, Some(""), Some("  "), Some("too-short")] {
            let home = tempfile::tempdir()?;
            let program = std::path::Path::new(T4T).with_file_name(format!("t4t-{service}"));
            let mut recipe = Recipe::new(service, &program, &[]);
            recipe.set("HOME", home.path().display()).set("T4T_DATA_DIR", home.path().display());
            recipe.set("T4T_MODE", "provider").set("GNOSIS_RPC_URL", "http://127.0.0.1:9");
            if let Some(token) = token {
                recipe.set(setting, token);
            }
            let mut process = Process::start(recipe, home.path())?;
            let status = process.ends(PATIENCE).await?;
            let said = process.whole_log();
            ensure!(
                status.code() == Some(1) && said.contains(setting),
                "{service} with {token:?}: {status}\n{said}"
            );
            ensure!(said.contains("16 or more"), "{service} with {token:?} does not say what to set: {said}");
        }
    }
    Ok(())
}

#[actix_web::test]
async fn with_a_proxy_in_the_environment_all_trade_and_the_proxy_sees_nothing() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let proxy = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", proxy.local_addr()?);
    let variables = t4t_outbound::PROXY_VARIABLES.map(|name| (name, address.as_str()));
    let provider = Apart::provider(&world, &RoleSpec::provider().with(&variables), &backend.url()).await?;
    world.on_offer(&[provider.wallet]).await.with_context(|| provider.story())?;
    let gateway = Apart::gateway(&world, &RoleSpec::gateway().with(&variables)).await?;
    let stories = || format!("{}\n{}", gateway.story(), provider.story());
    is_listed(&world, &gateway.url).await.with_context(stories)?;
    world.anvil.set_block_time(Some(1)).await?;
    let reply = world.app.ask(&gateway.url, &Question::new(ECHO, "past the proxy")).await?;
    ensure!(reply.answer().with_context(stories)? == "past the proxy ", "{}", reply.body);
    // Whoever connected waits to be accepted, so that none is missed.
    proxy.set_nonblocking(true)?;
    ensure!(proxy.accept().is_err(), "something went through the proxy");
    Ok(())
}
