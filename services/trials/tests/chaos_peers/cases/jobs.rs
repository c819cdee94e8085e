//! Jobs whose client means no good: posted, paid into escrow, and wrong.

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use t4t_chain::contracts::JobOrder;
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::seal;
use t4t_protocol::MessageKind;
use t4t_swarm::chunk::Chunk;
use t4t_testkit::processes::ECHO;
use t4t_types::{JobId, SwarmRef, Xbzz};

use super::super::dice::Dice;
use super::super::siege::Siege;
use super::super::stranger::PAYMENT;
use super::letters::hex;

/// A request that no node should have to take: more than the largest payload.
const SEVENTEEN_MB: usize = 17_000_000;

/// A request that is small enough to be taken and as bad as it can be inside.
const FIFTEEN_MB: usize = 15_000_000;

/// What is wrong with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobTrick {
    CopiedBeforeTheOwner,
    CopiedAfterTheOwner,
    PostedTwice,
    PoisonedNotices,
    InflatedNotice,
    ForeignClient,
    ForeignModel,
    Withheld,
    NoBytes,
    TooFewBytes,
    Tampered,
    PointOffTheCurve,
    SealedToSomebodyElse,
    SeventeenMegabytesOfGarbage,
    SeventeenMegabytesSealed,
    ManySmallValues,
    GiantSpan,
    Manifest,
    NestedTenThousandDeep,
    RepeatedKeys,
    OddNumbers,
    WrongTypes,
    OddUnicode,
    AnswerKeyOffTheCurve,
    OddModelNames,
    TrapDeadlines,
    Dust,
}

impl JobTrick {
    pub(crate) const ALL: &[Self] = &[
        Self::CopiedBeforeTheOwner,
        Self::CopiedAfterTheOwner,
        Self::PostedTwice,
        Self::PoisonedNotices,
        Self::InflatedNotice,
        Self::ForeignClient,
        Self::ForeignModel,
        Self::NoBytes,
        Self::TooFewBytes,
        Self::Tampered,
        Self::PointOffTheCurve,
        Self::SealedToSomebodyElse,
        Self::Withheld,
        Self::TrapDeadlines,
        Self::SeventeenMegabytesOfGarbage,
        Self::SeventeenMegabytesSealed,
        Self::ManySmallValues,
        Self::GiantSpan,
        Self::Manifest,
        Self::NestedTenThousandDeep,
        Self::RepeatedKeys,
        Self::OddNumbers,
        Self::WrongTypes,
        Self::OddUnicode,
        Self::AnswerKeyOffTheCurve,
        Self::OddModelNames,
        Self::Dust,
    ];

    /// Whether all runs name one content: it is large, and the same whatever the dice say.
    fn is_costly(self) -> bool {
        matches!(
            self,
            Self::SeventeenMegabytesOfGarbage | Self::SeventeenMegabytesSealed | Self::ManySmallValues
        )
    }
}

/// How a trick's job has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Refused: nothing paid.
    Refused,
    /// Served or refused, but never for more than was in escrow.
    Either,
}

/// Plays a trick with each of `runs` throws of the dice.
pub(crate) async fn play(
    siege: &mut Siege,
    trick: JobTrick,
    runs: u32,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    let mut posted: Vec<(JobId, End)> = Vec::new();
    let once = if trick.is_costly() { Some(content(siege, trick, dice).await?) } else { None };
    for _ in 0..runs {
        match &once {
            Some(contents) => posted.extend(post_all(siege, contents).await?),
            None => posted.extend(post(siege, trick, dice).await?),
        }
    }
    for (job, end) in posted {
        let job = siege.stranger.over(&siege.scene.world, job).await?;
        let is_refused = job.paid.is_zero();
        ensure!(is_refused || end == End::Either, "served, and should not be: {job:?}");
        ensure!(job.paid <= job.max_payment && job.slashed.is_zero(), "{job:?}");
    }
    siege.survived().await
}

async fn post(siege: &Siege, trick: JobTrick, dice: &mut Dice) -> anyhow::Result<Vec<(JobId, End)>> {
    let (provider, stranger) = (siege.scene.provider.wallet, &siege.stranger);
    match trick {
        JobTrick::CopiedBeforeTheOwner | JobTrick::CopiedAfterTheOwner => copied(siege, trick).await,
        JobTrick::PostedTwice => {
            let (hash, first) = stranger.buy(provider, "once is enough").await?;
            let second = stranger.post(&stranger.order(provider, hash).await?).await?;
            let jobs = [
                siege.stranger.over(&siege.scene.world, first).await?,
                stranger.over(&siege.scene.world, second).await?,
            ];
            ensure!(jobs.iter().filter(|job| !job.paid.is_zero()).count() == 1, "{jobs:?}");
            Ok(Vec::new())
        }
        JobTrick::PoisonedNotices => poisoned(siege).await,
        JobTrick::InflatedNotice => {
            let request = stranger.request(provider, &"word ".repeat(300)).await?;
            let hash = stranger.upload(request).await?;
            let promise = stranger.notice(hash, Xbzz::from_whole(1_000_000))?;
            stranger
                .tell_provider(provider, stranger.sign(MessageKind::JobNotify, provider, &promise)?)
                .await?;
            Ok(vec![(stranger.post(&small(stranger.order(provider, hash).await?)).await?, End::Either)])
        }
        JobTrick::Withheld => {
            let order = stranger.order(provider, SwarmRef::new(dice.hash())).await?;
            Ok(vec![(stranger.post(&order).await?, End::Refused)])
        }
        JobTrick::OddModelNames => odd_model_names(siege, dice).await,
        JobTrick::TrapDeadlines => trap_deadlines(siege, dice).await,
        JobTrick::Dust => {
            let hash = stranger.upload(stranger.request(provider, "dust").await?).await?;
            let order = stranger.order(provider, hash).await?;
            let below =
                JobOrder { max_payment: Xbzz::from_plur(dice.below(1 << 30) as u128), ..order.clone() };
            ensure!(stranger.post(&below).await.is_err(), "our escrow takes dust");
            let least = JobOrder { max_payment: Xbzz::from_plur(1_000_000_000_000), ..order };
            Ok(vec![(stranger.post(&least).await?, End::Either)])
        }
        _ => post_all(siege, &content(siege, trick, dice).await?).await,
    }
}

fn small(order: JobOrder) -> JobOrder {
    JobOrder { max_payment: Xbzz::from_plur(3_000_000_000_000), ..order }
}

async fn post_all(siege: &Siege, contents: &[(SwarmRef, End)]) -> anyhow::Result<Vec<(JobId, End)>> {
    let mut posted = Vec::new();
    for (hash, end) in contents {
        let order = siege.stranger.order(siege.scene.provider.wallet, *hash).await?;
        posted.push((siege.stranger.post(&order).await?, *end));
    }
    Ok(posted)
}

/// What a thief posts gets nothing, whoever is first on the chain.
async fn copied(siege: &Siege, trick: JobTrick) -> anyhow::Result<Vec<(JobId, End)>> {
    let (provider, thief, owner) = (siege.scene.provider.wallet, &siege.stranger, &siege.victim);
    let hash = owner.upload(owner.request(provider, "the owner's").await?).await?;
    let (own, copy) = if trick == JobTrick::CopiedBeforeTheOwner {
        let copy = thief.post(&thief.order(provider, hash).await?).await?;
        (owner.post(&owner.order(provider, hash).await?).await?, copy)
    } else {
        let own = owner.post(&owner.order(provider, hash).await?).await?;
        (own, thief.post(&thief.order(provider, hash).await?).await?)
    };
    let own = owner.over(&siege.scene.world, own).await?;
    ensure!(!own.paid.is_zero(), "the owner was not served: {own:?}");
    ensure!(owner.read(&owner.answer_of(own.job).await?)? == "the owner's", "another answer");
    Ok(vec![(copy, End::Refused)])
}

/// Somebody else's notices for a job, before and after it and with the thief's key, turn nothing away.
async fn poisoned(siege: &Siege) -> anyhow::Result<Vec<(JobId, End)>> {
    let (provider, thief, owner) = (siege.scene.provider.wallet, &siege.stranger, &siege.victim);
    let hash = owner.upload(owner.request(provider, "for the owner alone").await?).await?;
    let poison = || thief.sign(MessageKind::JobNotify, provider, &thief.notice(hash, PAYMENT)?);
    for _ in 0..5 {
        thief.tell_provider(provider, poison()?).await?;
    }
    let job = owner.post(&owner.order(provider, hash).await?).await?;
    thief.tell_provider(provider, poison()?).await?;
    let job = owner.over(&siege.scene.world, job).await?;
    ensure!(!job.paid.is_zero(), "the owner was not served: {job:?}");
    let answer = owner.answer_of(job.job).await?;
    ensure!(thief.read(&answer).is_err(), "the thief can read the answer");
    ensure!(owner.read(&answer)? == "for the owner alone", "another answer");
    Ok(Vec::new())
}

async fn odd_model_names(siege: &Siege, dice: &mut Dice) -> anyhow::Result<Vec<(JobId, End)>> {
    let (provider, stranger) = (siege.scene.provider.wallet, &siege.stranger);
    let names = [
        "ECHO",
        "echo ",
        " echo",
        "../../etc/passwd",
        "'; DROP TABLE selling;--",
        "ｅｃｈｏ",
        "\u{202e}ohce",
        "b/echo",
    ];
    let mut posted = Vec::new();
    for _ in 0..2 {
        let name = names[dice.below(names.len())];
        let request = stranger.request_of(provider, stranger.address(), name, "odd").await?;
        let hash = stranger.upload(request).await?;
        let order = JobOrder { model: name.parse()?, ..stranger.order(provider, hash).await? };
        posted.push((stranger.post(&order).await?, End::Refused));
    }
    Ok(posted)
}

async fn trap_deadlines(siege: &Siege, dice: &mut Dice) -> anyhow::Result<Vec<(JobId, End)>> {
    let (provider, stranger) = (siege.scene.provider.wallet, &siege.stranger);
    let seconds = [32, 36, 3700, 86_000][dice.below(4)];
    let hash = stranger.upload(stranger.request(provider, "in time?").await?).await?;
    let order = stranger.order(provider, hash).await?;
    let order = JobOrder { delivery_deadline: stranger.chain_now().await?.plus(seconds), ..order };
    Ok(vec![(stranger.post(&order).await?, End::Refused)])
}

/// What lies where the jobs of a trick say that their request is.
async fn content(siege: &Siege, trick: JobTrick, dice: &mut Dice) -> anyhow::Result<Vec<(SwarmRef, End)>> {
    let provider = siege.scene.provider.wallet;
    let stranger = &siege.stranger;
    let refused = |hash| Ok(vec![(hash, End::Refused)]);
    match trick {
        JobTrick::GiantSpan => return refused(giant_span(siege, dice).await?),
        JobTrick::Manifest => {
            // The obfuscation key and the version of a manifest's first node, then forks to nowhere.
            let head = [
                vec![0; 32],
                hex_bytes("5768b3b6a7db56d21d1abff40d41cebfc83448fed8d7e9b06ec0d3b073f28f20"),
                dice.bytes(200),
            ];
            return refused(stranger.upload(head.concat()).await?);
        }
        JobTrick::NoBytes => {
            // A node takes no empty upload; the chunk without content exists all the same.
            return refused(
                stranger.bee.post_chunk(&stranger.batch, Chunk::content(&[])?.data().clone()).await?,
            );
        }
        _ => {}
    }
    let good = stranger.request(provider, "good").await?;
    let (sealed, end): (Bytes, End) = match trick {
        JobTrick::ForeignClient => {
            (stranger.request_of(provider, siege.victim.address(), ECHO, "x").await?.into(), End::Refused)
        }
        JobTrick::ForeignModel => {
            (stranger.request_of(provider, stranger.address(), "gpt-9", "x").await?.into(), End::Refused)
        }
        JobTrick::TooFewBytes => (dice.bytes(1 + dice.clone().below(60)).into(), End::Refused),
        JobTrick::Tampered => {
            let mut bent = good;
            let place = 33 + dice.below(bent.len() - 33);
            bent[place] ^= 1 << dice.below(8);
            (bent.into(), End::Refused)
        }
        JobTrick::PointOffTheCurve => (bad_point(good, dice).into(), End::Refused),
        JobTrick::SealedToSomebodyElse => {
            (seal(&siege.victim.sealing.public(), &dice.bytes(300))?.into(), End::Refused)
        }
        JobTrick::SeventeenMegabytesOfGarbage => (dice.bytes(SEVENTEEN_MB).into(), End::Refused),
        _ => {
            let (payload, end) = payload(siege, trick, dice);
            let key = stranger.provider(provider).await?.encryption_key;
            (seal(&key, payload.as_bytes())?.into(), end)
        }
    };
    Ok(vec![(stranger.upload(sealed).await?, end)])
}

/// A root whose span says that there are 2^40 bytes and more, and whose children are nowhere.
async fn giant_span(siege: &Siege, dice: &mut Dice) -> anyhow::Result<SwarmRef> {
    let span = (1_u64 << (33 + dice.below(30))).to_le_bytes();
    let chunk = Chunk::with_span(span, &dice.bytes(4096))?;
    siege
        .stranger
        .bee
        .post_chunk(&siege.stranger.batch, chunk.data().clone())
        .await
        .context("the giant's root")
}

/// An ephemeral key that is no point: off the curve, beyond the field, of another form, at infinity.
pub(crate) fn bad_point(mut sealed: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let point: [u8; 32] = match dice.below(5) {
        0 => [0; 32],
        1 => [0xff; 32],
        // X = 5 has no Y.
        2 => std::array::from_fn(|place| if place == 31 { 5 } else { 0 }),
        _ => dice.hash(),
    };
    sealed[0] = [2, 3, 0, 4, 6, 7][dice.below(6)];
    sealed[1..33].copy_from_slice(&point);
    sealed
}

/// A payload as text, so that it can be anything.
fn payload(siege: &Siege, trick: JobTrick, dice: &mut Dice) -> (String, End) {
    let stranger = &siege.stranger;
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let plain = json!({ "model": ECHO, "max_tokens": 16, "messages": messages }).to_string();
    let key = format!("0x{}", hex(stranger.sealing.public().as_bytes()));
    let whole = |request: &str, key: &str| {
        format!(
            r#"{{"v":1,"jobId":"0x{}","client":"{}","modelId":"{ECHO}","openaiRequest":{request},"clientPssPubKey":"{key}","ts":{}}}"#,
            "11".repeat(32),
            stranger.address(),
            SystemClock.now().get()
        )
    };
    match trick {
        JobTrick::SeventeenMegabytesSealed => {
            let long = "long ".repeat(SEVENTEEN_MB / 5);
            let request = json!({ "model": ECHO, "messages": [{ "role": "user", "content": long }] });
            (whole(&request.to_string(), &key), End::Refused)
        }
        JobTrick::ManySmallValues => {
            let parts = r#"{"text":""},"#.repeat(FIFTEEN_MB / 12);
            let content = format!("[{}]", parts.trim_end_matches(','));
            let request =
                format!(r#"{{"model":"{ECHO}","messages":[{{"role":"user","content":{content}}}]}}"#);
            (whole(&request, &key), End::Refused)
        }
        JobTrick::NestedTenThousandDeep => {
            let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
            let requests = [
                format!(r#"{{"model":"{ECHO}","messages":{deep}}}"#),
                format!(r#"{{"model":"{ECHO}","messages":{messages},"x":{deep}}}"#),
                deep.clone(),
            ];
            (whole(&requests[dice.below(requests.len())], &key), End::Refused)
        }
        JobTrick::RepeatedKeys => {
            (repeated_keys(&whole(&plain, &key), &messages, dice, &whole, &key), End::Either)
        }
        JobTrick::OddNumbers => {
            let numbers = [
                "1e400",
                "-0",
                "9007199254740993",
                "NaN",
                "-1e400",
                "1e-999",
                "0.5",
                "18446744073709551616",
                "null",
                "-1",
            ];
            let (number, other) = (numbers[dice.below(numbers.len())], numbers[dice.below(numbers.len())]);
            let request = format!(
                r#"{{"model":"{ECHO}","max_tokens":{number},"n":{other},"temperature":{number},"messages":{messages}}}"#
            );
            (whole(&request, &key), End::Either)
        }
        JobTrick::WrongTypes => (wrong_types(&whole(&plain, &key), dice), End::Either),
        JobTrick::OddUnicode => {
            let texts =
                [r"\ud800", r"\udc00\ud800", r"\u0000", "\u{202e}", "\u{feff}", "\u{10ffff}", r"\u2028"];
            let text = texts[dice.below(texts.len())];
            let request = format!(
                r#"{{"model":"{ECHO}","max_tokens":16,"messages":[{{"role":"user","content":"a {text} b"}}]}}"#
            );
            (whole(&request, &key), End::Either)
        }
        JobTrick::AnswerKeyOffTheCurve => {
            let keys = [
                "00".repeat(32),
                "ff".repeat(32),
                format!("{}05", "00".repeat(31)),
                "zz".repeat(32),
                String::new(),
            ];
            (whole(&plain, &format!("0x{}", keys[dice.below(keys.len())])), End::Refused)
        }
        _ => (whole(&plain, &key), End::Either),
    }
}

fn repeated_keys(
    good: &str,
    messages: &Value,
    dice: &mut Dice,
    whole: &impl Fn(&str, &str) -> String,
    key: &str,
) -> String {
    let requests = [
        format!(r#"{{"model":"{ECHO}","max_tokens":1,"max_tokens":100000,"messages":{messages}}}"#),
        format!(r#"{{"model":"gpt-9","model":"{ECHO}","max_tokens":16,"messages":{messages}}}"#),
        format!(r#"{{"model":"{ECHO}","max_tokens":16,"n":1,"n":128,"messages":{messages}}}"#),
        format!(r#"{{"model":"{ECHO}","max_tokens":16,"messages":[],"messages":{messages}}}"#),
        format!(r#"{{"model":"{ECHO}","max_tokens":16,"messages":{messages},"model":"gpt-9"}}"#),
    ];
    match dice.below(requests.len() + 2) {
        place if place < requests.len() => whole(&requests[place], key),
        place if place == requests.len() => good.replacen("{\"v\":1", "{\"v\":2,\"v\":1", 1),
        _ => good.replacen(
            "\"client\"",
            "\"client\":\"0x0000000000000000000000000000000000000001\",\"client\"",
            1,
        ),
    }
}

/// One of the payload's or the request's fields with a value of another type.
fn wrong_types(good: &str, dice: &mut Dice) -> String {
    let mut payload: Value = serde_json::from_str(good).unwrap_or_default();
    let values = [
        json!(null),
        json!([]),
        json!({}),
        json!(-1),
        json!(""),
        json!(true),
        json!(["x"]),
        json!({"a": []}),
    ];
    let value = values[dice.below(values.len())].clone();
    let outer = ["v", "jobId", "client", "modelId", "openaiRequest", "clientPssPubKey", "ts"];
    let inner = ["model", "max_tokens", "messages", "stream", "stream_options", "n", "tools", "stop"];
    match dice.below(outer.len() + inner.len()) {
        place if place < outer.len() => payload[outer[place]] = value,
        place => payload["openaiRequest"][inner[place - outer.len()]] = value,
    }
    payload.to_string()
}

fn hex_bytes(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .filter_map(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok())
        .collect()
}
