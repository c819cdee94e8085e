//! Hostile clients, one trick at a time.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use t4t_chain::contracts::JobStatus;
use t4t_clock::{SystemClock, timeout};
use t4t_protocol::MessageKind;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, Question, Scene, World};
use t4t_types::{SwarmRef, Xbzz};

use super::stranger::{PAYMENT, Stranger};
use super::{scene, unharmed};

/// For how long nothing may arrive where nothing should.
const SILENCE: Duration = Duration::from_secs(3);

fn is_refused(job: &JobEntry) -> bool {
    job.status == JobStatus::Claimed && job.paid.is_zero()
}

/// Takes the least payment out of the escrow's code: the live network's escrow has none.
pub(crate) async fn allow_dust(world: &World) -> anyhow::Result<()> {
    let (rpc, escrow) = (world.anvil.rpc(), world.market.addresses.escrow);
    let code: String = rpc.call("eth_getCode", json!([escrow, "latest"])).await?;
    // PUSH5 of 10^12.
    let without = code.replace("64e8d4a51000", "640000000000");
    ensure!(code != without, "the escrow's least payment is written in another way now");
    rpc.call::<Value>("anvil_setCode", json!([escrow, without])).await?;
    Ok(())
}

#[actix_web::test]
async fn jobs_for_nothing_or_dust_cost_the_provider_nothing() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let stranger = Stranger::new(&scene.world, 3).await?;
            let provider = scene.provider.wallet;
            let hash = stranger.upload(stranger.request(provider, "for free").await?).await?;
            let free = t4t_chain::contracts::JobOrder {
                max_payment: Xbzz::ZERO,
                ..stranger.order(provider, hash).await?
            };
            ensure!(stranger.post(&free).await.is_err(), "our escrow takes jobs for nothing");
            allow_dust(&scene.world).await?;
            for plur in [0, 1, 999_999_999_999] {
                let order =
                    t4t_chain::contracts::JobOrder { max_payment: Xbzz::from_plur(plur), ..free.clone() };
                let job = stranger.post(&order).await?;
                let job = stranger.over(&scene.world, job).await?;
                ensure!(is_refused(&job), "{job:?}");
            }
            ensure!(scene.backend.calls() == 0, "the backend worked for dust");
            unharmed(scene).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn a_copied_request_gets_nothing_and_the_owner_is_served() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let provider = scene.provider.wallet;
            let victim = Stranger::new(&scene.world, 3).await?;
            let thief = Stranger::new(&scene.world, 4).await?;
            let hash = victim.upload(victim.request(provider, "mine alone").await?).await?;
            // The copy is first on the chain and first by message.
            let copy = thief.post(&thief.order(provider, hash).await?).await?;
            let notice = thief.sign(MessageKind::JobNotify, provider, &thief.notice(hash, PAYMENT)?)?;
            thief.tell_provider(provider, notice).await?;
            let own = victim.post(&victim.order(provider, hash).await?).await?;
            let (copy, own) = (thief.over(&scene.world, copy).await?, victim.over(&scene.world, own).await?);
            ensure!(is_refused(&copy), "{copy:?}");
            ensure!(own.status == JobStatus::Claimed && !own.paid.is_zero(), "{own:?}");
            let answer = victim.answer_of(own.job).await?;
            ensure!(victim.read(&answer)? == "mine alone", "another answer");
            ensure!(thief.read(&answer).is_err(), "the thief can read the answer");
            ensure!(scene.backend.calls() == 1, "{} backend calls", scene.backend.calls());
            unharmed(scene).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn a_strangers_notice_does_not_turn_an_answer_away() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let provider = scene.provider.wallet;
            let victim = Stranger::new(&scene.world, 3).await?;
            let thief = Stranger::new(&scene.world, 4).await?;
            let mut spying = thief.listen().await?;
            let mut listening = victim.listen().await?;
            let hash = victim.upload(victim.request(provider, "for me").await?).await?;
            let stolen = thief.sign(MessageKind::JobNotify, provider, &thief.notice(hash, PAYMENT)?)?;
            thief.tell_provider(provider, stolen.clone()).await?;
            let job = victim.post(&victim.order(provider, hash).await?).await?;
            thief.tell_provider(provider, stolen).await?;
            let own = victim.sign(MessageKind::JobNotify, provider, &victim.notice(hash, PAYMENT)?)?;
            victim.tell_provider(provider, own).await?;
            let job = victim.over(&scene.world, job).await?;
            ensure!(!job.paid.is_zero(), "{job:?}");
            let told = timeout(&SystemClock, Duration::from_secs(10), listening.next()).await;
            ensure!(told.is_ok(), "the victim was told nothing");
            // A notice after the fact brings nothing either.
            let late = thief.sign(MessageKind::JobNotify, provider, &thief.notice(hash, PAYMENT)?)?;
            thief.tell_provider(provider, late).await?;
            let spied = timeout(&SystemClock, SILENCE, spying.next()).await;
            ensure!(spied.is_err(), "the thief was told something: {spied:?}");
            unharmed(scene).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn a_notice_that_promises_more_buys_no_more_than_the_escrow_pays() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let provider = scene.provider.wallet;
            let stranger = Stranger::new(&scene.world, 3).await?;
            let words = vec!["word"; 400].join(" ");
            let request = json!({
                "model": ECHO, "max_tokens": 100_000, "messages": [{ "role": "user", "content": words }],
            });
            let sealed = stranger.seal_raw(provider, &request).await?;
            let hash = stranger.upload(sealed).await?;
            let small = Xbzz::from_plur(3_000_000_000_000);
            let promise = stranger.notice(hash, Xbzz::from_whole(1000))?;
            let promise = stranger.sign(MessageKind::JobNotify, provider, &promise)?;
            stranger.tell_provider(provider, promise).await?;
            let order = t4t_chain::contracts::JobOrder {
                max_payment: small,
                ..stranger.order(provider, hash).await?
            };
            let job = stranger.post(&order).await?;
            let job = stranger.over(&scene.world, job).await?;
            ensure!(job.paid <= small, "{job:?}");
            let asked = scene.backend.last_request().context("the backend was not asked")?;
            let limit = asked.body["max_tokens"].as_u64().context("no limit")?;
            // 15·10^15 PLUR for a million tokens of output.
            ensure!(limit <= 3_000_000_000_000 / 15_000_000_000, "the backend may make {limit} tokens");
            unharmed(scene).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn requests_that_can_not_be_served_are_refused_in_time() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let provider = scene.provider.wallet;
            let stranger = Stranger::new(&scene.world, 3).await?;
            let victim = scene.gateway.wallet;
            let requests = [
                ("sealed to nobody", vec![7; 500]),
                ("empty", vec![0]),
                ("of another client", stranger.request_of(provider, victim, ECHO, "not mine").await?),
                ("for another model", stranger.request_of(provider, stranger.address(), "gpt-9", "x").await?),
                ("no request", stranger.seal_raw(provider, &json!([1, 2, 3])).await?),
            ];
            for (what, sealed) in requests {
                let hash = stranger.upload(sealed).await?;
                let job = stranger.post(&stranger.order(provider, hash).await?).await?;
                let job = stranger.over(&scene.world, job).await?;
                ensure!(is_refused(&job), "a request {what}: {job:?}");
            }
            // What nobody uploaded is waited for, but not until the stake is lost.
            let job = stranger.post(&stranger.order(provider, SwarmRef::new([9; 32])).await?).await?;
            let job = stranger.over(&scene.world, job).await?;
            ensure!(is_refused(&job), "a withheld request: {job:?}");
            ensure!(scene.backend.calls() == 0, "{} backend calls", scene.backend.calls());
            unharmed(scene).await.map(drop)
        })
        .await
}

#[actix_web::test]
async fn deadlines_that_are_traps_are_refused() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let provider = scene.provider.wallet;
            let stranger = Stranger::new(&scene.world, 3).await?;
            for seconds in [33, 38, 7200, 86_000] {
                let hash =
                    stranger.upload(stranger.request(provider, &format!("in {seconds} s")).await?).await?;
                let order = t4t_chain::contracts::JobOrder {
                    delivery_deadline: stranger.chain_now().await?.plus(seconds),
                    ..stranger.order(provider, hash).await?
                };
                let job = stranger.post(&order).await?;
                let job = stranger.over(&scene.world, job).await?;
                ensure!(is_refused(&job), "a deadline in {seconds} s: {job:?}");
            }
            for seconds in [0, 20, 90_000, 1 << 40] {
                let order = t4t_chain::contracts::JobOrder {
                    delivery_deadline: stranger.chain_now().await?.plus(seconds),
                    ..stranger.order(provider, SwarmRef::new([1; 32])).await?
                };
                ensure!(stranger.post(&order).await.is_err(), "our escrow takes a deadline in {seconds} s");
            }
            // The honest are served as before.
            scene.ask(&Question::new(ECHO, "still there?")).await?.answer()?;
            unharmed(scene).await.map(drop)
        })
        .await
}
