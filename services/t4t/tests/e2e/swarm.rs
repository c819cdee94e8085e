//! Messages are hints: without a single one of them the chain alone brings a job to its end. And what real Bee nodes do to
//! both sides of a job.

use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_bee_dev::{CutOff, Faults, Frozen, Light};
use t4t_clock::{SystemClock, timeout};
use t4t_protocol::{Message, client_topic, parse_and_verify, path_topic};
use t4t_swarm::{Bee, BeeConfig};
use t4t_testkit::backend::Listing;
use t4t_testkit::eventually;
use t4t_testkit::processes::{
    App, ECHO, Gateway, PATIENCE, Question, RoleSpec, Scene, SceneSpec, World, WorldConfig,
};

use super::{T4T, scene};

#[actix_web::test]
async fn without_any_message_the_app_is_answered_from_the_chain() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene.world.bee.faults().set(Faults { drop_messages: 1.0, ..Faults::realistic() });
    scene
        .play(async |scene: &mut Scene| {
            for text in ["no notice", "no acknowledgement", "no delivery"] {
                let reply = scene.ask(&Question::new(ECHO, text)).await?;
                ensure!(reply.answer()?.trim() == text, "{}", reply.body);
            }
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 3 && jobs.iter().all(|job| !job.paid.is_zero()), "{jobs:?}");
            Ok(())
        })
        .await
}

/// An app that waits for uploads that take their time.
fn patient() -> anyhow::Result<App> {
    App::patient(Duration::from_secs(120))
}

/// What a loaded machine's nodes pass on, in bytes a second.
const PUSHED_A_SECOND: u64 = 220_000;

#[actix_web::test]
async fn a_request_of_3_mb_is_posted_once_it_can_be_read() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    let faults = Faults {
        deferred_bytes_a_second: PUSHED_A_SECOND,
        download_bytes_a_second: 1_000_000,
        ..Faults::realistic()
    };
    scene.world.bee.faults().set(faults);
    scene
        .play(async |scene: &mut Scene| {
            // A model that reads so much.
            let model = serde_json::json!({ "id": ECHO, "object": "model", "max_model_len": 2_000_000 });
            scene.backend.set_listing(Listing::Models(vec![model]));
            scene.provider.process.restart(&[])?;
            scene.provider.started().await?;
            let text = "word ".repeat(600_000);
            let url = scene.gateway.url().await?;
            let reply = patient()?.ask(&url, &Question::new(ECHO, &text)).await?;
            ensure!(reply.is_answer(), "{}: {:.300}", reply.status, reply.body);
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 1 && !jobs[0].paid.is_zero(), "one job, not refused: {jobs:?}");
            let counts = scene.world.bee.faults().counts();
            // The request once and the answer once: neither was broken off and begun anew.
            ensure!(counts["download at a rate"] == 2, "{counts:?}");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_gateway_whose_node_passes_nothing_on_says_whose_it_is_and_posts_no_more() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.ask(&Question::new(ECHO, "all is well")).await?.answer()?;
            let cut_off = Some(CutOff { node: 0, answers_after_ms: 30_000 });
            scene.world.bee.faults().set(Faults { cut_off, ..Faults::realistic() });
            let url = scene.gateway.url().await?;
            let began = Instant::now();
            let reply = patient()?.ask(&url, &Question::new(ECHO, "into the void")).await?;
            ensure!(reply.status == 503, "{}: {}", reply.status, reply.body);
            ensure!(reply.body.contains("own node"), "whose node: {}", reply.body);
            ensure!(began.elapsed() < Duration::from_secs(40), "it waited for {:?}", began.elapsed());
            let said = scene.gateway.process.says("does not pass chunks on", PATIENCE).await?;
            ensure!(said.contains("peers"), "{said}");
            let ready = eventually(PATIENCE, "/ready is red", async || {
                (!scene.world.app.is_ready(&url).await).then_some(())
            });
            ready.await?;
            let posted = scene.closed().await?.len();
            let began = Instant::now();
            let reply = scene.ask(&Question::new(ECHO, "and again")).await?;
            ensure!(reply.status == 503 && began.elapsed() < Duration::from_secs(5), "{}", reply.body);
            ensure!(scene.closed().await?.len() == posted, "nothing more was posted");
            scene.world.bee.faults().set(Faults::realistic());
            let answered = eventually(PATIENCE, "an answer after the node is well", async || {
                scene.ask(&Question::new(ECHO, "well again")).await.ok().filter(|reply| reply.is_answer())
            });
            answered.await?;
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_provider_whose_node_froze_for_20_s_uses_what_is_left_of_the_window() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let frozen = Some(Frozen { node: 1, for_ms: 20_000 });
            scene.world.bee.faults().set(Faults { frozen, ..Faults::realistic() });
            let url = scene.gateway.url().await?;
            let reply = patient()?.ask(&url, &Question::new(ECHO, "after the freeze")).await?;
            ensure!(reply.is_answer(), "{}: {}", reply.status, reply.body);
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 1 && !jobs[0].paid.is_zero(), "{jobs:?}");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn an_acknowledgement_is_told_late_rather_than_never_and_before_the_delivery() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    // The job is served from the chain long before its notice arrives.
    scene.world.bee.faults().set(Faults { message_delay_ms: 2500, ..Faults::realistic() });
    scene
        .play(async |scene: &mut Scene| {
            let node = Bee::new(BeeConfig::new(scene.world.node(0)?), SystemClock::shared())?;
            let mut inbox = node.subscribe(&path_topic(&client_topic(scene.gateway.wallet)));
            inbox.wait_connected(PATIENCE).await?;
            scene.ask(&Question::new(ECHO, "who told me?")).await?.answer()?;
            let mut kinds = Vec::new();
            let hearing = async {
                while let Some(message) = inbox.next().await {
                    let kind = match parse_and_verify(&message).map(|envelope| envelope.message) {
                        Ok(Message::JobAck(_)) => "ack",
                        Ok(Message::JobDeliver(_)) => "deliver",
                        _ => continue,
                    };
                    kinds.push(kind);
                    if kind == "deliver" {
                        return;
                    }
                }
            };
            let heard = timeout(&SystemClock, PATIENCE, hearing).await;
            ensure!(heard.is_ok() && kinds.first() == Some(&"ack"), "{kinds:?}");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_gateway_behind_a_light_node_is_not_ready_unless_messages_arrive() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let light = |receives| Faults { light: Some(Light { node: 0, receives }), ..Faults::realistic() };
    world.bee.faults().set(light(false));
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway())?;
    let url = gateway.url().await?;
    let said = gateway.process.says("receives no messages", PATIENCE).await?;
    ensure!(said.contains("full-node: true"), "{said}");
    ensure!(!world.app.is_ready(&url).await, "ready behind a node that hears nothing");
    ensure!(!gateway.process.log().contains("gateway ready"), "{}", gateway.process.log());
    world.bee.faults().set(light(true));
    let mut second =
        Gateway::start(&world, &RoleSpec { name: "gateway-2", wallet: 3, ..RoleSpec::gateway() })?;
    second.process.says("gateway ready", PATIENCE).await?;
    ensure!(world.app.is_ready(&second.url().await?).await, "not ready behind a light node that receives");
    Ok(())
}

#[actix_web::test]
async fn a_provider_whose_node_passes_nothing_on_claims_nothing_for_what_nobody_can_read()
-> anyhow::Result<()> {
    let gateway = RoleSpec::gateway().with(&[("T4T_DEFAULT_DEADLINE_SECONDS", "60")]);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene
        .play(async |scene: &mut Scene| {
            let cut_off = Some(CutOff { node: 1, answers_after_ms: 30_000 });
            scene.world.bee.faults().set(Faults { cut_off, ..Faults::realistic() });
            let url = scene.gateway.url().await?;
            let reply = patient()?.ask(&url, &Question::new(ECHO, "unreadable")).await?;
            ensure!(reply.is_clean_error(), "{}: {}", reply.status, reply.body);
            let said = scene.provider.process.says("does not pass chunks on", PATIENCE).await?;
            ensure!(said.contains("peers"), "{said}");
            let jobs = scene.closed().await?;
            ensure!(jobs.iter().all(|job| job.paid.is_zero() && job.slashed.is_zero()), "{jobs:?}");
            Ok(())
        })
        .await
}
