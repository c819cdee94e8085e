//! Many questions at once, and ranges that are too large.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use t4t_chain::{BlockTag, ChainError, ContractAddresses, LogFilter};
use t4t_types::Address;

use crate::fault_server::{Fault, FaultServer, rpc};

/// Answers `eth_getBalance` with the number that stands in the first parameter, and refuses 7.
fn echo() -> FaultServer {
    FaultServer::start(|_, params| match &params[0] {
        seven if *seven == json!(7) => Err(json!({ "code": -32000, "message": "not seven" })),
        number => Ok(number.clone()),
    })
}

fn questions(count: u64) -> Vec<(&'static str, Value)> {
    (0..count).map(|number| ("echo", json!([number]))).collect()
}

#[actix_web::test]
async fn answers_come_in_the_order_of_the_questions_and_each_has_its_own_error() {
    let server = echo();
    let answers = rpc(&[&server]).batch(questions(250)).await.unwrap();
    assert_eq!(answers.len(), 250);
    for (number, answer) in answers.into_iter().enumerate() {
        match number {
            7 => assert!(matches!(answer, Err(ChainError::Answer { code: -32000, .. }))),
            _ => assert_eq!(answer, Ok(json!(number))),
        }
    }
    let sizes: Vec<usize> = server.requests().iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[actix_web::test]
async fn an_endpoint_that_takes_only_small_batches_gets_small_ones() {
    let server = echo();
    server.refuses_batches_above(30);
    let rpc = rpc(&[&server]);
    assert_eq!(rpc.batch(questions(60)).await.unwrap().len(), 60);
    let learnt = server.hits();
    assert_eq!(rpc.batch(questions(30)).await.unwrap()[29], Ok(json!(29)));
    assert!(server.requests()[learnt..].iter().all(|methods| methods.len() <= 30));
}

#[actix_web::test]
async fn an_endpoint_that_takes_no_batches_is_asked_one_by_one() {
    let server = echo();
    server.refuses_batches_above(1);
    let rpc = rpc(&[&server]);
    let answers = rpc.batch(questions(20)).await.unwrap();
    assert_eq!(answers[19], Ok(json!(19)));
    assert!(answers[7].is_err());
    let learnt = server.hits();
    rpc.batch(questions(5)).await.unwrap();
    assert!(server.requests()[learnt..].iter().all(|methods| methods.len() == 1));
}

#[actix_web::test]
async fn a_batch_goes_to_the_other_endpoint_in_the_size_that_one_takes() {
    let (bad, good) = (echo(), echo());
    bad.fails_always(Fault::Status(503));
    good.refuses_batches_above(1);
    assert_eq!(rpc(&[&bad, &good]).batch(questions(9)).await.unwrap().len(), 9);
}

#[actix_web::test]
async fn no_question_is_no_request() {
    let server = echo();
    assert_eq!(rpc(&[&server]).batch(Vec::new()).await, Ok(Vec::new()));
    assert_eq!(server.hits(), 0);
}

#[actix_web::test]
async fn a_range_that_is_too_large_is_halved_until_it_is_not() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let number = |value: &Value| u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let server = FaultServer::start(move |method, params| {
        if method == "eth_getBlockByNumber" {
            return Ok(block(1000, 1));
        }
        let filter = &params[0];
        let to = if filter["toBlock"] == "latest" { 1000 } else { number(&filter["toBlock"]) };
        let from = number(&filter["fromBlock"]);
        if to - from >= 300 {
            return Err(json!({ "code": -32602, "message": "block range is too large, max is 300" }));
        }
        seen.lock().unwrap().push((from, to));
        Ok(json!([]))
    });
    let filter = LogFilter { from: 1, to: None, ..LogFilter::default() };
    assert_eq!(rpc(&[&server]).logs(&filter).await, Ok(Vec::new()));
    // Every block was asked for once, and in order.
    let ranges = asked.lock().unwrap().clone();
    assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (1, 1000));
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{ranges:?}");
}

/// A block of one fork: its hash is made of both numbers.
pub(crate) fn block(number: u64, fork: u64) -> Value {
    json!({
        "number": format!("{number:#x}"),
        "hash": hash(number, fork),
        "parentHash": hash(number - 1, fork),
        "timestamp": format!("{:#x}", 1_700_000_000 + 5 * number),
        "baseFeePerGas": "0x3b9aca00",
    })
}

/// The hash of a block of one fork.
pub(crate) fn hash(number: u64, fork: u64) -> String {
    format!("0x{number:032x}{fork:032x}")
}

#[actix_web::test]
async fn reading_from_an_address_without_a_contract_says_so() {
    let server = FaultServer::start(|_, _| Ok(json!("0x")));
    let rpc = rpc(&[&server]);
    let address = Address::new([7; 20]);
    let market = ContractAddresses { registry: address, escrow: address, token: address };
    let missing = ChainError::NoContract { address };
    assert_eq!(market.token().balance_of(&rpc, address).await, Err(missing.clone()));
    assert_eq!(market.escrow().jobs(&rpc, &[Default::default()]).await, Err(missing));
    assert_eq!(rpc.eth_call(address, &[], BlockTag::Latest).await, Ok(Vec::new()));
}
