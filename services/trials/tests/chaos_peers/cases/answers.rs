//! Rogue providers: cheapest on the market, paid for something that is no answer, or changing the terms in flight.

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::seal;
use t4t_swarm::chunk::Chunk;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, PATIENCE, Question};
use t4t_types::{Address, EncryptionKey, SwarmRef, Xbzz};

use super::super::dice::Dice;
use super::super::rogue::{Rogue, Terms};
use super::super::siege::Siege;
use super::jobs::bad_point;
use super::letters::hex;

const SEVENTEEN_MB: usize = 17_000_000;

/// What a rogue says when it answers after all.
const ROGUE_SAYS: &str = "what the rogue says";

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerTrick {
    NoAnswer,
    NoBytes,
    TooFewBytes,
    Garbage,
    SeventeenMegabytesOfGarbage,
    SeventeenMegabytesSealed,
    Tampered,
    PointOffTheCurve,
    SealedToSomebodyElse,
    AnotherJobsId,
    AnotherProvider,
    AnotherVersion,
    NoChoices,
    LongError,
    NestedTenThousandDeep,
    BlamesTheRequest,
    ManyDeliveries,
    OddUsage,
    RepeatedKeys,
    OddUnicode,
    RaisesItsPrice,
    ChangesItsKey,
}

impl AnswerTrick {
    pub(crate) const ALL: &[Self] = &[
        Self::NoAnswer,
        Self::NoBytes,
        Self::TooFewBytes,
        Self::Garbage,
        Self::SeventeenMegabytesOfGarbage,
        Self::Tampered,
        Self::PointOffTheCurve,
        Self::SealedToSomebodyElse,
        Self::AnotherJobsId,
        Self::AnotherProvider,
        Self::SeventeenMegabytesSealed,
        Self::AnotherVersion,
        Self::NoChoices,
        Self::LongError,
        Self::NestedTenThousandDeep,
        Self::BlamesTheRequest,
        Self::ManyDeliveries,
        Self::OddUsage,
        Self::RepeatedKeys,
        Self::OddUnicode,
        Self::RaisesItsPrice,
        Self::ChangesItsKey,
    ];

    /// Whether the app may get what the rogue says: the answer is one, whatever else is odd about it.
    fn may_answer(self) -> bool {
        matches!(
            self,
            Self::OddUsage
                | Self::RepeatedKeys
                | Self::OddUnicode
                | Self::RaisesItsPrice
                | Self::ChangesItsKey
        )
    }
}

/// Plays a trick with each of `runs` throws of the dice, each time as a provider that nobody knows yet.
pub(crate) async fn play(
    siege: &mut Siege,
    trick: AnswerTrick,
    runs: u32,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    for _ in 0..runs {
        let number = siege.next_rogue();
        let model = format!("rogue-{number}");
        let terms = Terms { models: &[ECHO, &model], metadata_uri: "", divisor: 10 };
        let rogue = Rogue::enter(&siege.scene.world, 100 + number, &terms).await?;
        siege.scene.gateway.offers(&siege.scene.world, &model).await?;
        let text = siege.question();
        let url = siege.scene.gateway.url().await?;
        let app = siege.scene.world.app.clone();
        let question = Question::new(ECHO, &text);
        let asking = app.ask(&url, &question);
        let cheating = cheat(siege, &rogue, trick, dice);
        let (reply, cheated) = futures_util::future::join(asking, Box::pin(cheating)).await;
        cheated.context("the rogue could not play its trick")?;
        let reply = reply?;
        let content = reply.answer().context("no answer")?.trim();
        let is_the_rogues = content.contains(ROGUE_SAYS);
        ensure!(content == text || (is_the_rogues && trick.may_answer()), "another answer: {}", reply.body);
        if !is_the_rogues {
            // It is still there, and still the cheapest.
            siege.ask_honestly().await.context("the next request went to the rogue again")?;
        }
        took_one_price(siege, &rogue).await?;
        rogue.leave().await?;
    }
    siege.survived().await
}

async fn took_one_price(siege: &Siege, rogue: &Rogue) -> anyhow::Result<()> {
    let jobs = siege.scene.world.ledger().jobs().await?;
    let theirs: Vec<&JobEntry> = jobs.iter().filter(|job| job.provider == rogue.address()).collect();
    let taken: Xbzz = theirs.iter().map(|job| job.paid).sum();
    let price = theirs.iter().map(|job| job.max_payment).max().context("the rogue was not asked")?;
    ensure!(theirs.len() == 1 && taken <= price, "the rogue took {taken}: {theirs:?}");
    Ok(())
}

/// Waits for a job and plays the trick on it.
async fn cheat(siege: &Siege, rogue: &Rogue, trick: AnswerTrick, dice: &mut Dice) -> anyhow::Result<()> {
    let world = &siege.scene.world;
    let job = eventually(PATIENCE, "a job for the rogue", async || {
        let jobs = world.ledger().jobs().await.ok()?;
        jobs.into_iter().find(|job| job.provider == rogue.address())
    })
    .await?;
    let request = job.request_hash.context("a job without a request")?;
    let client_key = rogue.open(request).await?.client_key;
    let all = job.max_payment;
    match trick {
        AnswerTrick::NoAnswer => rogue.claim(&job, SwarmRef::ZERO, all).await,
        AnswerTrick::BlamesTheRequest => {
            let blame = json!({ "error": { "message": "your request is bad", "type": "invalid_request_error",
                "param": "x".repeat(dice.below(5000)), "code": null } });
            let sealed = seal(&client_key, payload(request, rogue.address(), &blame.to_string()).as_bytes())?;
            let reference = rogue.me.upload(sealed).await?;
            rogue.claim(&job, reference, Xbzz::ZERO).await
        }
        AnswerTrick::ManyDeliveries => {
            for _ in 0..20 {
                rogue.deliver(job.client, request, SwarmRef::new(dice.hash())).await?;
            }
            rogue.claim(&job, rogue.me.upload(dice.bytes(500)).await?, all).await
        }
        _ => {
            match trick {
                AnswerTrick::RaisesItsPrice => {
                    rogue.offer(&Terms { models: &[ECHO], metadata_uri: "", divisor: 1 }).await?
                }
                AnswerTrick::ChangesItsKey => rogue.change_key(EncryptionKey::new(dice.hash())).await?,
                _ => {}
            }
            let reference = answer(siege, rogue, trick, dice, &job, &client_key).await?;
            if dice.below(2) == 0 {
                rogue.deliver(job.client, request, reference).await?;
            }
            rogue.claim(&job, reference, all).await
        }
    }
}

/// Stores what the rogue calls its answer.
async fn answer(
    siege: &Siege,
    rogue: &Rogue,
    trick: AnswerTrick,
    dice: &mut Dice,
    job: &JobEntry,
    key: &EncryptionKey,
) -> anyhow::Result<SwarmRef> {
    let request = job.request_hash.context("a job without a request")?;
    let me = &rogue.me;
    let good = || seal(key, payload(request, rogue.address(), &response(&json!(ROGUE_SAYS))).as_bytes());
    let content: Bytes = match trick {
        AnswerTrick::NoBytes => {
            return Ok(me.bee.post_chunk(&me.batch, Chunk::content(&[])?.data().clone()).await?);
        }
        AnswerTrick::TooFewBytes => {
            let count = 1 + dice.below(60);
            dice.bytes(count).into()
        }
        AnswerTrick::Garbage => {
            let count = 61 + dice.below(9000);
            dice.bytes(count).into()
        }
        AnswerTrick::SeventeenMegabytesOfGarbage => dice.bytes(SEVENTEEN_MB).into(),
        AnswerTrick::Tampered => {
            let mut bent = good()?;
            let place = 33 + dice.below(bent.len() - 33);
            bent[place] ^= 1 << dice.below(8);
            bent.into()
        }
        AnswerTrick::PointOffTheCurve => bad_point(good()?, dice).into(),
        AnswerTrick::SealedToSomebodyElse => seal(
            &siege.victim.sealing.public(),
            payload(request, rogue.address(), &response(&json!("x"))).as_bytes(),
        )?
        .into(),
        _ => seal(key, bad_payload(trick, dice, request, rogue.address()).as_bytes())?.into(),
    };
    me.upload(content).await
}

fn payload(request: SwarmRef, provider: Address, response: &str) -> String {
    let id = format!("0x{}", hex(request.routing_id().as_bytes()));
    let now = SystemClock.now().get();
    format!(r#"{{"v":1,"jobId":"{id}","provider":"{provider}","openaiResponse":{response},"ts":{now}}}"#)
}

fn response(content: &Value) -> String {
    response_with(&content.to_string(), r#"{"prompt_tokens":1,"completion_tokens":4,"total_tokens":5}"#)
}

fn response_with(content: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"x","object":"chat.completion","created":1,"model":"{ECHO}","choices":[{{"index":0,"finish_reason":"stop","message":{{"role":"assistant","content":{content}}}}}],"usage":{usage}}}"#
    )
}

fn bad_payload(trick: AnswerTrick, dice: &mut Dice, request: SwarmRef, provider: Address) -> String {
    let said = json!(ROGUE_SAYS).to_string();
    let good = payload(request, provider, &response(&json!(ROGUE_SAYS)));
    match trick {
        AnswerTrick::SeventeenMegabytesSealed => {
            payload(request, provider, &response(&json!("long ".repeat(SEVENTEEN_MB / 5))))
        }
        AnswerTrick::AnotherJobsId => {
            payload(SwarmRef::new(dice.hash()), provider, &response(&json!(ROGUE_SAYS)))
        }
        AnswerTrick::AnotherProvider => {
            let mut other = [0; 20];
            other.copy_from_slice(&dice.hash()[..20]);
            payload(request, Address::new(other), &response(&json!(ROGUE_SAYS)))
        }
        AnswerTrick::AnotherVersion => {
            let versions = ["0", "2", "\"1\"", "1.5", "null", "[1]", "-1"];
            good.replacen("\"v\":1", &format!("\"v\":{}", versions[dice.below(versions.len())]), 1)
        }
        AnswerTrick::NoChoices => {
            let choices = ["[]", "{}", "null", "\"x\"", "7"];
            let response = format!(r#"{{"choices":{}}}"#, choices[dice.below(choices.len())]);
            payload(request, provider, &response)
        }
        AnswerTrick::LongError => {
            let long = "why not \u{1b}[31m ".repeat(200_000);
            let responses = [
                json!({ "choices": long }),
                json!({ "choices": [], "usage": long }),
                json!({ "error": { "message": long, "type": long } }),
                json!(long),
            ];
            payload(request, provider, &responses[dice.below(responses.len())].to_string())
        }
        AnswerTrick::NestedTenThousandDeep => {
            let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
            payload(request, provider, &format!(r#"{{"choices":[{{"index":0}}],"x":{deep}}}"#))
        }
        AnswerTrick::OddUsage => {
            let numbers = [
                "-1",
                "1e400",
                "18446744073709551615",
                "18446744073709551616",
                "0.5",
                "\"9\"",
                "null",
                "9007199254740993",
            ];
            let (one, other) = (numbers[dice.below(numbers.len())], numbers[dice.below(numbers.len())]);
            let usage = format!(r#"{{"prompt_tokens":{one},"completion_tokens":{other}}}"#);
            payload(request, provider, &response_with(&said, &usage))
        }
        AnswerTrick::RepeatedKeys => {
            let lie = format!("\"provider\":\"{}\",\"provider\"", Address::new([3; 20]));
            good.replacen("\"provider\"", &lie, 1)
        }
        AnswerTrick::OddUnicode => {
            let texts = [r"\ud800", r"\udc00\ud800", r"\u0000", "\u{202e}", "\u{feff}", r"\u2028"];
            let said = format!("\"{ROGUE_SAYS} {}\"", texts[dice.below(texts.len())]);
            payload(request, provider, &response_with(&said, "{}"))
        }
        _ => good,
    }
}
