//! An endpoint that answers errors or nonsense beside an honest one: every method that the product uses, every kind of
//! error, the faulty endpoint first or second.

use serde_json::{Value, json};
use t4t_chain::{BlockTag, ChainError, Fees, LogFilter, Rpc, RpcConfig, SendError, TransactionRequest};
use t4t_clock::SystemClock;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::lying_rpc::LyingRpc;
use t4t_types::{Address, TxHash, keccak256};

use super::Fixture;

/// Errors of endpoints that do not do their work: HTTP status, code, message.
const REFUSALS: [(u16, i64, &str); 16] = [
    (200, -32603, "Internal error"),
    (200, 19, "Temporary internal error. Please retry, trace-id: 7a"),
    (200, -32046, "Cannot fulfill request"),
    (200, -32005, "daily request count exceeded, request rate limited"),
    (200, -32000, "quota reached for this key"),
    (200, -32001, "Unauthorized"),
    (200, -32601, "the method does not exist/is not available"),
    (200, -32602, "invalid params"),
    (200, -32000, "header not found"),
    (200, 7, "something nobody has heard of"),
    (401, -32000, "invalid project id"),
    (403, -32000, "forbidden"),
    (402, -32000, "payment required"),
    (429, -32005, "limit exceeded"),
    (500, -32603, "internal server error"),
    (503, -32000, "no healthy upstream"),
];

/// Results that no node gives.
fn nonsense() -> [Value; 3] {
    [Value::Null, json!({ "unexpected": true }), json!("0xnothing")]
}

/// Methods of reading, each with what an honest answer is judged by.
const METHODS: [&str; 9] = [
    "eth_chainId",
    "eth_getBlockByNumber",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_getTransactionByHash",
    "eth_call",
    "eth_estimateGas",
    "eth_getLogs",
];

struct Beside {
    fixture: Fixture,
    faulty: LyingRpc,
    mined: TxHash,
}

impl Beside {
    async fn start() -> Self {
        let fixture = Fixture::start().await;
        let call = fixture.market.addresses.escrow().post_job(&fixture.order().await);
        let mined = fixture.client_sends(&call).await.tx;
        let faulty = LyingRpc::start(fixture.anvil.rpc_url()).await.unwrap();
        Self { fixture, faulty, mined }
    }

    /// A new client of both endpoints.
    fn rpc(&self, faulty_is_first: bool) -> Rpc {
        let mut urls = [self.fixture.anvil.rpc_url(), self.faulty.url()];
        if faulty_is_first {
            urls.reverse();
        }
        Rpc::new(RpcConfig::new(urls), SystemClock::shared()).unwrap()
    }

    async fn read(&self, rpc: &Rpc, method: &str) -> Result<(), ChainError> {
        let (wallet, addresses) = (self.fixture.client.address(), self.fixture.market.addresses);
        match method {
            "eth_chainId" => assert_eq!(rpc.chain_id().await?, self.fixture.anvil.chain_id()),
            "eth_getBlockByNumber" => assert!(rpc.latest_block().await?.number > 0),
            "eth_getBalance" => assert!(rpc.balance(wallet).await? > 0),
            "eth_getTransactionCount" => {
                assert_eq!(rpc.transaction_count(wallet, BlockTag::Latest).await?, 2)
            }
            "eth_getTransactionReceipt" => assert!(rpc.receipt(self.mined).await?.is_some()),
            "eth_getTransactionByHash" => assert!(rpc.transaction_known(self.mined).await?),
            "eth_call" => assert_eq!(addresses.escrow().job_counter(rpc).await?, 1),
            "eth_estimateGas" => {
                let call = addresses.escrow().post_job(&self.fixture.order().await);
                assert!(rpc.estimate_gas(wallet, Some(call.to), &call.data).await? > 100_000);
            }
            _ => {
                let filter = LogFilter { addresses: vec![addresses.escrow], ..LogFilter::default() };
                assert!(!rpc.logs(&filter).await?.is_empty());
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn whatever_one_endpoint_refuses_is_answered_by_the_honest_one_beside_it() {
    let beside = Beside::start().await;
    for (status, code, message) in REFUSALS {
        for method in METHODS {
            for is_first in [true, false] {
                beside.faulty.refuse_with(method, status, code, message);
                let (rpc, before) = (beside.rpc(is_first), beside.faulty.asked(method));
                for _ in 0..3 {
                    let read = beside.read(&rpc, method).await;
                    assert_eq!(read, Ok(()), "{method}: {status} {code} {message}, first: {is_first}");
                }
                let asked = beside.faulty.asked(method) - before;
                assert!(
                    asked <= 1,
                    "{method}: the endpoint that answered {message:?} was asked {asked} times"
                );
            }
        }
    }
}

#[tokio::test]
async fn results_that_no_node_gives_are_answered_by_the_honest_one_beside_it() {
    let beside = Beside::start().await;
    // Where null is an answer, it may be a true one.
    let nullable = ["eth_getTransactionReceipt", "eth_getTransactionByHash"];
    for told in nonsense() {
        for method in METHODS {
            if told.is_null() && nullable.contains(&method) || method == "eth_getTransactionByHash" {
                continue;
            }
            let result = told.clone();
            beside.faulty.lie(move |question, answer| {
                if question["method"] == method {
                    answer["result"] = result.clone();
                }
            });
            for is_first in [true, false] {
                let read = beside.read(&beside.rpc(is_first), method).await;
                assert_eq!(read, Ok(()), "{method}: {told}, first: {is_first}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_call_is_believed_when_both_endpoints_say_so() {
    let beside = Beside::start().await;
    let (addresses, wallet) = (beside.fixture.market.addresses, beside.fixture.client.address());
    beside.faulty.refuse("eth_estimateGas", 3, "execution reverted");
    for is_first in [true, false] {
        beside.read(&beside.rpc(is_first), "eth_estimateGas").await.unwrap();
        let call = addresses.escrow().cancel_job([9; 32].into());
        let refused = beside.rpc(is_first).estimate_gas(wallet, Some(call.to), &call.data).await.unwrap_err();
        assert!(refused.revert().is_some(), "{refused}");
    }
}

/// Words with which one endpoint keeps a transaction from the chain, true or not.
const REFUSED_SENDS: [(u16, i64, &str); 14] = [
    (200, -32000, "txpool is full"),
    (200, -32603, "Internal error"),
    (200, 19, "Temporary internal error. Please retry"),
    (200, -32005, "daily request count exceeded"),
    (200, -32000, "already known"),
    (200, -32000, "nonce too low"),
    (200, -32000, "nonce too high"),
    (200, -32000, "replacement transaction underpriced"),
    (200, -32000, "insufficient funds for gas * price + value"),
    (200, -32000, "transaction underpriced"),
    (200, -32000, "exceeds block gas limit"),
    (401, -32000, "unauthorized"),
    (429, -32005, "limit exceeded"),
    (503, -32000, "unavailable"),
];

#[tokio::test]
async fn a_transaction_reaches_the_chain_whatever_one_endpoint_says_of_it() {
    let beside = Beside::start().await;
    let (anvil, key) = (&beside.fixture.anvil, dev_key(5));
    let mut sent = 0;
    for (status, code, message) in REFUSED_SENDS {
        for is_first in [true, false] {
            beside.faulty.refuse_with("eth_sendRawTransaction", status, code, message);
            let raw = gift(&beside, sent).await.sign(&key);
            let rpc = beside.rpc(is_first);
            assert_eq!(rpc.send_raw(&raw.bytes).await, Ok(raw.hash), "{message}, first: {is_first}");
            // The other one may have been told last.
            let mined =
                t4t_testkit::eventually(std::time::Duration::from_secs(10), "it is mined", async || {
                    anvil.rpc().receipt(raw.hash).await.ok().flatten()
                });
            assert!(mined.await.unwrap().success, "{message}, first: {is_first}");
            sent += 1;
        }
    }
}

#[tokio::test]
async fn a_used_nonce_is_told_and_by_whom() {
    let beside = Beside::start().await;
    let key = dev_key(5);
    let first = gift(&beside, 0).await.sign(&key);
    beside.fixture.anvil.rpc().send_raw(&first.bytes).await.unwrap();
    let second = TransactionRequest { value: 2, ..gift(&beside, 0).await }.sign(&key);
    let refused = beside.rpc(true).send_raw(&second.bytes).await;
    assert!(matches!(refused, Err(SendError::NonceTooLow { by_all: true, .. })), "{refused:?}");
    beside.faulty.refuse("eth_sendRawTransaction", -32603, "Internal error");
    let refused = beside.rpc(true).send_raw(&second.bytes).await;
    assert!(matches!(refused, Err(SendError::NonceTooLow { by_all: false, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_transaction_reaches_an_honest_endpoint_that_rests_while_another_one_swallows_it() {
    let beside = Beside::start().await;
    let resting = LyingRpc::start(beside.fixture.anvil.rpc_url()).await.unwrap();
    for (nonce, refuses_the_send) in [(0, false), (1, true)] {
        beside.faulty.lie(|question, answer| {
            if question["method"] == "eth_sendRawTransaction" {
                let raw = question["params"][0].as_str().unwrap_or_default().trim_start_matches("0x");
                *answer = json!({ "jsonrpc": "2.0", "id": question["id"],
                                  "result": TxHash::new(keccak256(hex::decode(raw).unwrap())) });
            }
        });
        beside.faulty.withhold("eth_sendRawTransaction");
        resting.refuse_with("*", 429, -32005, "limit exceeded");
        let rpc =
            Rpc::new(RpcConfig::new([resting.url(), beside.faulty.url()]), SystemClock::shared()).unwrap();
        // It fails once, and rests from then on.
        assert!(rpc.latest_block().await.is_ok());
        if !refuses_the_send {
            resting.be_honest();
        }
        let before = resting.asked("eth_sendRawTransaction");
        let raw = gift(&beside, nonce).await.sign(&dev_key(5));
        assert_eq!(rpc.send_raw(&raw.bytes).await, Ok(raw.hash));
        let limit = std::time::Duration::from_secs(10);
        let told = t4t_testkit::eventually(limit, "it is told", async || {
            (resting.asked("eth_sendRawTransaction") > before).then_some(())
        });
        told.await.unwrap();
        resting.be_honest();
        let mined = t4t_testkit::eventually(limit, "it is mined", async || {
            beside.fixture.anvil.rpc().receipt(raw.hash).await.ok().flatten()
        });
        assert!(mined.await.unwrap().success, "refuses the send as well: {refuses_the_send}");
    }
}

async fn gift(beside: &Beside, nonce: u64) -> TransactionRequest {
    let base_fee = beside.fixture.anvil.rpc().latest_block().await.unwrap().base_fee;
    TransactionRequest {
        chain_id: beside.fixture.anvil.chain_id(),
        nonce,
        to: Some(Address::new([7; 20])),
        data: Vec::new(),
        value: 1,
        gas_limit: 21_000,
        fees: Fees::suggested(base_fee, 1_000_000_000),
    }
}
