//! Messages that are forged, bent, repeated, misaddressed or no messages at all, to either side.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use t4t_clock::{Clock, SystemClock};
use t4t_protocol::{JobDeliver, MessageKind, client_topic, provider_topic};
use t4t_swarm::{Bee, BeeConfig};
use t4t_testkit::eventually;
use t4t_testkit::processes::{ECHO, PATIENCE, Question};
use t4t_types::{Address, Overlay, SwarmRef};

use super::super::dice::Dice;
use super::super::kept;
use super::super::siege::Siege;
use super::super::stranger::PAYMENT;
use super::bent::{Base, LONGEST, MessageTrick, letters};

/// Runs that one job is disturbed by.
const RUNS_A_JOB: u32 = 5;

/// Whom it is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The gateway, while it waits for an answer.
    Gateway,
    /// The provider, about a job that is posted and paid.
    Provider,
}

/// Plays a trick with each of `runs` throws of the dice on one side.
pub(crate) async fn play(
    siege: &mut Siege,
    side: Side,
    trick: MessageTrick,
    runs: u32,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    let mut left = runs;
    while left > 0 {
        let now = left.min(RUNS_A_JOB);
        match side {
            Side::Provider => disturb_provider(siege, trick, now, dice).await?,
            Side::Gateway => disturb_gateway(siege, trick, now, dice).await?,
        }
        left -= now;
    }
    siege.survived().await
}

async fn disturb_provider(
    siege: &mut Siege,
    trick: MessageTrick,
    runs: u32,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    let to = siege.scene.provider.wallet;
    let (hash, job) = siege.stranger.buy(to, "bought by a stranger").await?;
    let mut sent = Vec::new();
    for _ in 0..runs {
        let base = Base {
            key: &siege.stranger.key,
            to,
            honest: siege.scene.gateway.wallet,
            kind: "job_notify",
            body: serde_json::to_value(siege.stranger.notice(hash, PAYMENT)?)?,
        };
        sent.extend(letters(trick, &base, dice));
    }
    if trick == MessageTrick::AfterTheFact {
        siege.stranger.over(&siege.scene.world, job).await?;
    }
    let overlay = siege.stranger.provider(to).await?.overlay;
    let topics = topics(trick, to, &provider_topic(to), &client_topic(to));
    send(siege, &topics, overlay, &sent).await?;
    if trick == MessageTrick::RepeatedAfterARestart {
        siege.restart_provider().await?;
        send(siege, &topics, overlay, &sent).await?;
    }
    if trick.leaves_no_row() {
        let other = siege.stranger.notice(SwarmRef::new(dice.hash()), PAYMENT)?;
        let last = siege.stranger.sign(MessageKind::JobNotify, to, &other)?;
        send(siege, &topics, overlay, std::slice::from_ref(&last)).await?;
        let database = &siege.scene.provider.database;
        kept::taken(database, &last).await?;
        kept::none_taken(database, &sent).await?;
        ensure!(kept::notices(database, hash).await? == 0, "a notice is kept that nobody signed");
    }
    let job = siege.stranger.over(&siege.scene.world, job).await?;
    ensure!(!job.paid.is_zero() && job.claims == 1, "the stranger's own job was not served: {job:?}");
    Ok(())
}

async fn disturb_gateway(
    siege: &mut Siege,
    trick: MessageTrick,
    runs: u32,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    let text = siege.question();
    let url = siege.scene.gateway.url().await?;
    let app = siege.scene.world.app.clone();
    // Long enough for the lies to arrive before the answer.
    siege.scene.backend.set_token_delay(Duration::from_millis(150));
    let question = Question::new(ECHO, &text);
    let asking = app.ask(&url, &question);
    let lying = lie_to_gateway(siege, trick, runs, dice);
    let (reply, lied) = futures_util::future::join(asking, Box::pin(lying)).await;
    siege.scene.backend.set_token_delay(Duration::ZERO);
    let again = lied.context("the lie could not be told")?;
    let reply = reply?;
    ensure!(reply.answer()?.trim() == text, "another answer: {}", reply.body);
    if trick.leaves_no_row() {
        let other = SwarmRef::new(dice.hash());
        let body = JobDeliver { routing_id: other.routing_id(), response_hash: other, ext: None };
        let last = siege.stranger.sign(MessageKind::JobDeliver, siege.scene.gateway.wallet, &body)?;
        send(siege, &again.topics, again.overlay, std::slice::from_ref(&last)).await?;
        let database = &siege.scene.gateway.database;
        kept::taken(database, &last).await?;
        kept::none_taken(database, &again.letters).await?;
    }
    if trick == MessageTrick::RepeatedAfterARestart {
        siege.restart_gateway().await?;
        send(siege, &again.topics, again.overlay, &again.letters).await?;
    }
    Ok(())
}

/// What was told, to be told again.
struct Told {
    topics: Vec<String>,
    overlay: Overlay,
    letters: Vec<Vec<u8>>,
}

async fn lie_to_gateway(
    siege: &Siege,
    trick: MessageTrick,
    runs: u32,
    dice: &mut Dice,
) -> anyhow::Result<Told> {
    let to = siege.scene.gateway.wallet;
    let world = &siege.scene.world;
    let hash = eventually(PATIENCE, "the gateway's job", async || {
        let jobs = world.ledger().jobs().await.ok()?;
        let open = jobs.into_iter().filter(|job| job.client == to && job.status.is_open());
        open.filter_map(|job| job.request_hash).next_back()
    })
    .await?;
    let mut letters_sent = Vec::new();
    for run in 0..runs {
        let (kind, told) = if run % 2 == 0 {
            ("job_deliver", json!({ "responseHash": SwarmRef::new(dice.hash()) }))
        } else {
            ("job_ack", json!({ "estimatedCompletion": SystemClock.now().plus(60).get() }))
        };
        let mut body = told;
        body["jobId"] = json!(hash.routing_id());
        let base = Base { key: &siege.stranger.key, to, honest: siege.scene.provider.wallet, kind, body };
        letters_sent.extend(letters(trick, &base, dice));
    }
    let node = Bee::new(BeeConfig::new(world.node(0)?), SystemClock::shared())?;
    let overlay = node.addresses().await?.overlay;
    let topics = topics(trick, to, &client_topic(to), &provider_topic(to));
    send(siege, &topics, overlay, &letters_sent).await?;
    Ok(Told { topics, overlay, letters: letters_sent })
}

fn topics(trick: MessageTrick, to: Address, right: &str, wrong: &str) -> Vec<String> {
    if trick == MessageTrick::WrongTopic {
        return vec![wrong.to_owned(), format!("t4t:nobody:{to}"), String::new()];
    }
    vec![right.to_owned()]
}

async fn send(siege: &Siege, topics: &[String], overlay: Overlay, letters: &[Vec<u8>]) -> anyhow::Result<()> {
    for letter in letters.iter().filter(|letter| letter.len() <= LONGEST) {
        for topic in topics {
            siege.stranger.tell(topic, overlay, letter.clone()).await?;
        }
    }
    Ok(())
}
