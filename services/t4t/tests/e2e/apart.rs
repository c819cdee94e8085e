//! Five services in processes of their own on each side, wired over HTTP, trade as one process does.

use anyhow::{Context, ensure};
use t4t_api::job_dispatcher::BuyCompletion;
use t4t_api::registry_watcher::GetHead;
use t4t_api::settlement::GetAccount;
use t4t_api::{Call, StreamCall};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::processes::{
    Apart, ECHO, PATIENCE, Question, RoleSpec, SERVICE_TOKEN, World, WorldConfig, build_services,
};

use super::T4T;
use super::trade::price_of;

async fn is_listed(world: &World, url: &url::Url) -> anyhow::Result<()> {
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
    let paths = [GetHead::PATH, GetAccount::PATH, BuyCompletion::PATH];
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
