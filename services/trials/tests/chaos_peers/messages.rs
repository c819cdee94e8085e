//! Forged, bent and repeated messages.

use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_protocol::{JobDeliver, MessageKind};
use t4t_testkit::eventually;
use t4t_testkit::processes::{ECHO, PATIENCE, Question, Scene};
use t4t_types::SwarmRef;

use super::stranger::{PAYMENT, Stranger};
use super::{kept, scene, unharmed};

#[actix_web::test]
async fn forged_bent_and_repeated_messages_change_nothing_even_after_a_restart() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let provider = scene.provider.wallet;
            let stranger = Stranger::new(&scene.world, 3).await?;
            let (hash, job) = stranger.buy(provider, "once").await?;
            let notice = stranger.notice(hash, PAYMENT)?;
            let good = stranger.sign(MessageKind::JobNotify, provider, &notice)?;
            // Another one, so that what is made of it would leave a row of its own.
            let spoilt = stranger.sign(MessageKind::JobNotify, provider, &notice)?;
            let text = String::from_utf8(spoilt.clone())?;
            let forged = text.replace(&stranger.address().to_string(), &scene.gateway.wallet.to_string());
            let bent = text.replace(&PAYMENT.plur().to_string(), &(PAYMENT.plur() + 1).to_string());
            ensure!(bent != text && forged != text, "nothing is bent: {text}");
            let mut flipped = spoilt.clone();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            let bad = [
                forged.into_bytes(),
                bent.into_bytes(),
                flipped,
                spoilt[..spoilt.len() / 2].to_vec(),
                b"{}".to_vec(),
                vec![0xff; 2000],
                b"[".repeat(3000),
            ];
            for bytes in &bad {
                stranger.tell_provider(provider, bytes.clone()).await?;
            }
            let database = scene.provider.database.clone();
            let other = stranger.notice(SwarmRef::new([5; 32]), PAYMENT)?;
            let last = stranger.sign(MessageKind::JobNotify, provider, &other)?;
            stranger.tell_provider(provider, last.clone()).await?;
            kept::taken(&database, &last).await?;
            kept::none_taken(&database, &bad).await?;
            ensure!(kept::notices(&database, hash).await? == 0, "a notice is kept that nobody signed");
            for _ in 0..10 {
                stranger.tell_provider(provider, good.clone()).await?;
            }
            kept::taken(&database, &good).await?;
            let job = stranger.over(&scene.world, job).await?;
            ensure!(!job.paid.is_zero(), "{job:?}");
            scene.provider.process.restart(&[])?;
            scene.provider.started().await?;
            // Whoever took it a second time would keep it again.
            kept::forget_notices(&database, hash).await?;
            for _ in 0..10 {
                stranger.tell_provider(provider, good.clone()).await?;
            }
            let last = stranger.sign(MessageKind::JobNotify, provider, &other)?;
            stranger.tell_provider(provider, last.clone()).await?;
            kept::taken(&database, &last).await?;
            ensure!(kept::notices(&database, hash).await? == 0, "a repeated notice was taken again");
            scene.ask(&Question::new(ECHO, "does it live?")).await?.answer()?;
            let jobs = unharmed(scene).await?;
            ensure!(
                jobs.len() == 2 && scene.backend.calls() == 2,
                "{} calls, {jobs:?}",
                scene.backend.calls()
            );
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_strangers_delivery_does_not_answer_the_gateway() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene.backend.set_token_delay(Duration::from_millis(800));
    scene
        .play(async |scene: &mut Scene| {
            let stranger = Stranger::new(&scene.world, 3).await?;
            let url = scene.gateway.url().await?;
            let (app, world) = (scene.world.app.clone(), &scene.world);
            let question = Question::new(ECHO, "one two three four five");
            let asking = app.ask(&url, &question);
            let gateway = scene.gateway.wallet;
            let lying = async {
                let hash = eventually(PATIENCE, "the gateway's job", async || {
                    let jobs = world.ledger().jobs().await.ok()?;
                    jobs.into_iter().find(|job| job.client == gateway)?.request_hash
                });
                let routing_id = hash.await?.routing_id();
                let garbage = stranger.upload(vec![1; 300]).await?;
                let node = t4t_swarm::Bee::new(
                    t4t_swarm::BeeConfig::new(world.node(0)?),
                    t4t_clock::SystemClock::shared(),
                )?;
                let overlay = node.addresses().await?.overlay;
                for response_hash in [garbage, SwarmRef::new([3; 32])] {
                    let body = JobDeliver { routing_id, response_hash, ext: None };
                    let signed = stranger.sign(MessageKind::JobDeliver, gateway, &body)?;
                    stranger.tell_client(gateway, overlay, signed).await?;
                }
                anyhow::Ok(())
            };
            let (reply, lied) = futures_util::future::join(asking, lying).await;
            lied.context("the lie could not be told")?;
            ensure!(reply?.answer()? == "one two three four five ", "another answer");
            unharmed(scene).await.map(drop)
        })
        .await
}
