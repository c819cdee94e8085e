//! One endpoint that lies or refuses, an honest one beside it, for both roles: method × lie × money. Every request is
//! answered and paid for once, no stake burns, and no wallet sends more transactions than its work takes.

use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use t4t_chain::BlockTag;
use t4t_testkit::chaos::{Form, Row};
use t4t_testkit::lying_rpc::LyingRpc;
use t4t_testkit::processes::{ECHO, Question, RoleSpec, Scene, World, WorldConfig};
use t4t_types::Address;

use crate::{LIMIT, SIDE_BY_SIDE, T4T, warm_up};

/// Its number in the table of `just chaos`.
const HOSTILE_ROW: u8 = 16;

/// Requests of each scenario, in the short and the full form.
const REQUESTS: (u32, u32) = (2, 20);

/// Scenarios of the short form: one of each kind of lie. The full form plays every one.
const SHORT: u32 = 6;

/// How long one request may take beside an endpoint that lies.
const TOLD_WITHIN: Duration = Duration::from_secs(90);

/// Transactions on top of one each: an approval, a heartbeat and an offer that are due meanwhile.
const SPARE: u64 = 4;

/// What the endpoint does.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Answers a method, or all with `*`, with an error.
    Refuses(&'static str, u16, i64, &'static str),
    /// Counts so many transactions more than there are.
    CountsMore(u64),
    /// Counts none.
    CountsNone,
    /// Says that calls are refused by the contract.
    Reverts(&'static str),
    /// Answers each call of a contract with zeros.
    Zeros,
    /// Shows every receipt as failed.
    FailsReceipts,
    /// Shows no receipt.
    HidesReceipts,
    /// Shows no logs.
    HidesLogs,
    /// Shows blocks of tomorrow.
    Tomorrow,
    /// Shows blocks whose base fee nobody pays.
    DearBlocks,
    /// Says that the wallet holds nothing.
    EmptyWallet,
}

const EVERYTHING: &str = "*";
const SEND: &str = "eth_sendRawTransaction";

/// All of them; the first are the main kinds.
const MANNERS: [Manner; 20] = [
    Manner::CountsMore(300),
    Manner::Refuses(EVERYTHING, 200, -32603, "Internal error"),
    Manner::Refuses(SEND, 200, -32000, "txpool is full"),
    Manner::Tomorrow,
    Manner::Zeros,
    Manner::Refuses(EVERYTHING, 401, -32000, "invalid project id"),
    Manner::CountsMore(1_000_000),
    Manner::CountsNone,
    Manner::Refuses(EVERYTHING, 200, 19, "Temporary internal error. Please retry"),
    Manner::Refuses(EVERYTHING, 200, -32046, "Cannot fulfill request"),
    Manner::Refuses(EVERYTHING, 200, -32005, "daily request count exceeded"),
    Manner::Refuses(SEND, 200, -32000, "already known"),
    Manner::Refuses(SEND, 200, -32000, "nonce too low"),
    Manner::Refuses(SEND, 200, -32000, "insufficient funds for gas * price + value"),
    Manner::Reverts("eth_estimateGas"),
    Manner::FailsReceipts,
    Manner::HidesReceipts,
    Manner::HidesLogs,
    Manner::DearBlocks,
    Manner::EmptyWallet,
];

impl Manner {
    fn set(self, endpoint: &LyingRpc) {
        match self {
            Self::Refuses(method, status, code, message) => {
                endpoint.refuse_with(method, status, code, message)
            }
            Self::Reverts(method) => endpoint.refuse(method, 3, "execution reverted"),
            other => endpoint.lie(move |question, answer| other.tell(question, answer)),
        }
    }

    fn tell(self, question: &Value, answer: &mut Value) {
        let method = question["method"].as_str().unwrap_or_default();
        let result = &mut answer["result"];
        match (self, method) {
            (Self::CountsMore(by), "eth_getTransactionCount") => {
                *result = json!(format!("{:#x}", number(result).saturating_add(by)));
            }
            (Self::CountsNone, "eth_getTransactionCount") => *result = json!("0x0"),
            (Self::Zeros, "eth_call") => {
                let digits = result.as_str().map_or(0, str::len).saturating_sub(2);
                *result = json!(format!("0x{}", "0".repeat(digits)));
            }
            (Self::FailsReceipts, "eth_getTransactionReceipt") if result.is_object() => {
                result["status"] = json!("0x0");
                result["logs"] = json!([]);
            }
            (Self::HidesReceipts, "eth_getTransactionReceipt") => *result = Value::Null,
            (Self::HidesLogs, "eth_getLogs") => *result = json!([]),
            (Self::Tomorrow, "eth_getBlockByNumber") if result.is_object() => {
                result["timestamp"] =
                    json!(format!("{:#x}", number(&result["timestamp"]).saturating_add(86_400)));
            }
            (Self::DearBlocks, "eth_getBlockByNumber") if result.is_object() => {
                result["baseFeePerGas"] = json!("0x174876e80000");
            }
            (Self::EmptyWallet, "eth_getBalance") => *result = json!("0x0"),
            _ => {}
        }
    }

    /// Whether what it says of the wallet or the time may well stop work, as long as it costs nothing.
    const fn may_stop_work(self) -> bool {
        matches!(
            self,
            Self::Zeros | Self::HidesReceipts | Self::HidesLogs | Self::DearBlocks | Self::EmptyWallet
        )
    }
}

fn number(hex: &Value) -> u64 {
    u64::from_str_radix(hex.as_str().unwrap_or_default().trim_start_matches("0x"), 16).unwrap_or(0)
}

#[derive(Clone, Copy, Debug)]
struct Play {
    manner: Manner,
    is_first: bool,
    requests: usize,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_first { "first" } else { "second" };
        write!(f, "{:?} at the {place} of two endpoints", self.manner)
    }
}

#[actix_web::test]
async fn one_hostile_endpoint_beside_an_honest_one_costs_nothing() -> anyhow::Result<()> {
    let form = Form::from_env();
    let requests = form.runs(REQUESTS.0, REQUESTS.1)? as usize;
    let count = form.runs(SHORT, 2 * MANNERS.len() as u32)? as usize;
    let all = [true, false]
        .into_iter()
        .flat_map(|is_first| MANNERS.map(|manner| Play { manner, is_first, requests }));
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let plays: Vec<Play> = match only.is_empty() {
        true => all.take(count).collect(),
        false => all.filter(|play| play.to_string().contains(&only)).collect(),
    };
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| play_with(play).await).await?;
    let tried = format!("one hostile chain endpoint of two: {} lies, {requests} requests each", plays.len());
    Row::new(
        HOSTILE_ROW,
        tried,
        plays.len() as u64,
        "nothing burned, nothing paid twice, no transaction too many",
    )
    .report()
}

async fn play_with(play: &Play) -> anyhow::Result<String> {
    let Play { manner, is_first, requests } = *play;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let ours = LyingRpc::start(world.anvil.rpc_url()).await?;
    let theirs = LyingRpc::start(world.anvil.rpc_url()).await?;
    let honest = world.anvil.rpc_url();
    let urls = |liar: &LyingRpc| match is_first {
        true => format!("{},{honest}", liar.url()),
        false => format!("{honest},{}", liar.url()),
    };
    let (our_urls, their_urls) = (urls(&ours), urls(&theirs));
    let (gateway, provider) =
        ([("GNOSIS_RPC_URL", our_urls.as_str())], [("GNOSIS_RPC_URL", their_urls.as_str())]);
    let (gateway, provider) = (RoleSpec::gateway().with(&gateway), RoleSpec::provider().with(&provider));
    let mut scene = Scene::start_in(world, &gateway, &provider).await?;
    scene
        .play(async |scene: &mut Scene| {
            let before = warm_up(scene).await?;
            let wallets = [scene.gateway.wallet, scene.provider.wallet];
            let sent_before = sent(scene, wallets).await?;
            manner.set(&ours);
            manner.set(&theirs);
            let mut answered = 0;
            for number in 0..requests {
                let (text, key) = (format!("question {number}"), format!("key-{number}"));
                let question = Question::new(ECHO, &text).keyed(&key);
                match scene.ask_until_told(&question, TOLD_WITHIN).await {
                    Ok(reply) if reply.is_answer() => answered += 1,
                    other => ensure!(manner.may_stop_work(), "not answered: {other:?}"),
                }
            }
            ours.be_honest();
            theirs.be_honest();
            let jobs = scene.ledger().closed(LIMIT).await?;
            let jobs = &jobs[before..];
            ensure!(jobs.iter().all(|job| job.slashed.is_zero()), "stake was burned: {jobs:?}");
            ensure!(jobs.len() <= requests, "{requests} requests and {} jobs", jobs.len());
            // A job is posted; it is acknowledged and claimed.
            let [gateway, provider] = sent(scene, wallets).await?;
            let (gateway, provider) = (gateway - sent_before[0], provider - sent_before[1]);
            let jobs = jobs.len() as u64;
            ensure!(gateway <= jobs + SPARE, "the gateway sent {gateway} transactions for {jobs} jobs");
            ensure!(
                provider <= 2 * jobs + SPARE,
                "the provider sent {provider} transactions for {jobs} jobs"
            );
            Ok(format!("{answered} of {requests} answered, {gateway} and {provider} transactions"))
        })
        .await
}

async fn sent(scene: &Scene, wallets: [Address; 2]) -> anyhow::Result<[u64; 2]> {
    let rpc = scene.world.anvil.rpc();
    Ok([
        rpc.transaction_count(wallets[0], BlockTag::Latest).await?,
        rpc.transaction_count(wallets[1], BlockTag::Latest).await?,
    ])
}
