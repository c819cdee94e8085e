//! Reading events from a chain that forks, lags and limits.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use t4t_chain::events::topics;
use t4t_chain::{ChainError, ContractAddresses, LogScanner, ScanPass};
use t4t_types::Address;

use crate::batches::{block, hash};
use crate::fault_server::{Fault, FaultServer, rpc};

const MARKET: ContractAddresses = ContractAddresses {
    registry: Address::new([1; 20]),
    escrow: Address::new([2; 20]),
    token: Address::new([3; 20]),
};

/// A chain whose blocks from `forked_at` on belong to fork `fork`, with one acknowledged job in some blocks.
#[derive(Clone, Default)]
struct Chain {
    head: u64,
    forked_at: u64,
    fork: u64,
    /// Heights that hold an event.
    events: Vec<u64>,
    /// Heights in which a job was cancelled.
    ends: Vec<u64>,
    /// Head of the machine that serves logs, if it is another.
    logs_head: Option<u64>,
    largest_range: Option<u64>,
}

type Shared = Arc<Mutex<Chain>>;

impl Chain {
    fn fork_of(&self, number: u64) -> u64 {
        if number >= self.forked_at { self.fork } else { 0 }
    }

    fn log(&self, number: u64) -> Value {
        json!({
            "address": MARKET.escrow, "data": "0x", "logIndex": "0x0", "removed": false,
            "topics": [format!("0x{}", digits(&topics::JOB_ACKED)), format!("{number:#066x}")],
            "blockNumber": format!("{number:#x}"), "blockHash": hash(number, self.fork_of(number)),
            "transactionHash": format!("{number:#066x}"), "transactionIndex": "0x0",
        })
    }

    fn end(&self, number: u64) -> Value {
        let mut log = self.log(number);
        log["topics"][0] = json!(format!("0x{}", digits(&topics::JOB_CANCELLED)));
        (log["data"], log["logIndex"]) = (json!(format!("{:#066x}", 0)), json!("0x1"));
        log
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let height = |value: &Value| match value.as_str().unwrap() {
            "latest" => None,
            text => Some(u64::from_str_radix(&text[2..], 16).unwrap()),
        };
        if method == "eth_getBlockByNumber" {
            let number = height(&params[0]).unwrap_or(self.head);
            return Ok(if number > self.head { Value::Null } else { block(number, self.fork_of(number)) });
        }
        let from = height(&params[0]["fromBlock"]).unwrap();
        let to = height(&params[0]["toBlock"]).unwrap_or(self.head).min(self.logs_head.unwrap_or(self.head));
        if self.largest_range.is_some_and(|largest| to.saturating_sub(from) >= largest) {
            return Err(json!({ "code": -32005, "message": "query returned more than 10000 results" }));
        }
        let within = |number: &&u64| (from..=to).contains(*number);
        let acked = self.events.iter().filter(within).map(|number| self.log(*number));
        Ok(acked.chain(self.ends.iter().filter(within).map(|number| self.end(*number))).collect())
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn served(chain: Chain) -> (Shared, FaultServer) {
    let shared: Shared = Arc::new(Mutex::new(chain));
    let seen = Arc::clone(&shared);
    let server = FaultServer::start(move |method, params| seen.lock().unwrap().answer(method, params));
    (shared, server)
}

fn scanner(server: &FaultServer, cursor: Option<u64>) -> LogScanner {
    LogScanner::new(rpc(&[server]), MARKET, cursor, LogScanner::DEFAULT_OVERLAP)
}

fn heights(pass: &ScanPass) -> (Vec<u64>, Vec<u64>) {
    let of = |events: &[t4t_chain::LoggedEvent]| events.iter().map(|event| event.block_number).collect();
    (of(&pass.added), of(&pass.removed))
}

#[actix_web::test]
async fn following_the_head_takes_one_request_a_pass_and_reports_each_event_once() {
    let (chain, server) =
        served(Chain { head: 5000, events: vec![4000, 4995, 5001, 5002], ..Chain::default() });
    let mut scanner = scanner(&server, None);
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![4995], vec![]));
    let before = server.hits();
    for (head, added) in [(5001, vec![5001]), (5001, vec![]), (5003, vec![5002])] {
        chain.lock().unwrap().head = head;
        let pass = scanner.poll().await.unwrap();
        assert_eq!(heights(&pass), (added, vec![]));
        assert_eq!((pass.scanned_to, pass.head.number, pass.is_caught_up()), (head, head, true));
    }
    assert_eq!(server.hits() - before, 3);
    assert!(server.requests()[before..].iter().all(|methods| methods.len() == 2));
}

#[actix_web::test]
async fn a_long_backfill_is_read_in_pages_and_misses_nothing() {
    let events: Vec<u64> = (1..=9000).step_by(997).collect();
    let (_, server) =
        served(Chain { head: 9000, events: events.clone(), largest_range: Some(700), ..Chain::default() });
    let mut scanner = scanner(&server, Some(0));
    let mut found = Vec::new();
    for _ in 0..100 {
        let pass = scanner.poll().await.unwrap();
        found.extend(heights(&pass).0);
        if pass.is_caught_up() {
            break;
        }
    }
    assert_eq!(found, events);
    assert!(server.hits() < 60, "{} requests", server.hits());
}

#[actix_web::test]
async fn an_endpoint_that_serves_a_block_at_a_time_is_still_read() {
    let (_, server) =
        served(Chain { head: 40, events: vec![3, 39], largest_range: Some(1), ..Chain::default() });
    let mut scanner = scanner(&server, Some(0));
    let mut found = Vec::new();
    while found.len() < 2 {
        found.extend(heights(&scanner.poll().await.unwrap()).0);
    }
    assert_eq!(found, [3, 39]);
}

#[actix_web::test]
async fn an_event_that_a_reorganisation_moves_is_removed_and_added_once() {
    let (chain, server) = served(Chain { head: 100, events: vec![95, 98], ..Chain::default() });
    let mut scanner = scanner(&server, Some(80));
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![95, 98], vec![]));
    *chain.lock().unwrap() =
        Chain { head: 101, forked_at: 97, fork: 1, events: vec![95, 99], ..Chain::default() };
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![99], vec![98]));
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![], vec![]));
}

#[actix_web::test]
async fn a_fork_that_is_shorter_for_a_while_takes_nothing_back_before_it_has_grown() {
    let (chain, server) = served(Chain { head: 100, events: vec![99], ..Chain::default() });
    let mut scanner = scanner(&server, Some(80));
    scanner.poll().await.unwrap();
    *chain.lock().unwrap() = Chain { head: 98, forked_at: 97, fork: 1, ..Chain::default() };
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![], vec![]));
    chain.lock().unwrap().head = 102;
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![], vec![99]));
}

#[actix_web::test]
async fn logs_that_lag_behind_the_head_are_neither_removed_nor_missed() {
    let (chain, server) = served(Chain { head: 100, events: vec![98, 101], ..Chain::default() });
    let mut scanner = scanner(&server, Some(80));
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![98], vec![]));
    chain.lock().unwrap().head = 102;
    chain.lock().unwrap().logs_head = Some(97);
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![], vec![]));
    chain.lock().unwrap().logs_head = None;
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![101], vec![]));
}

#[actix_web::test]
async fn a_head_far_back_is_not_believed_and_the_next_endpoint_is_asked() {
    let (chain, server) = served(Chain { head: 100, events: vec![98], ..Chain::default() });
    let (_, other) = served(Chain { head: 101, events: vec![98, 101], ..Chain::default() });
    let mut scanner = LogScanner::new(rpc(&[&server, &other]), MARKET, Some(80), 12);
    scanner.poll().await.unwrap();
    chain.lock().unwrap().head = 80;
    let mut added = Vec::new();
    for _ in 0..4 {
        match scanner.poll().await {
            Ok(pass) => {
                assert_eq!(pass.head.number, 101);
                added.extend(heights(&pass).0);
            }
            Err(error) => assert!(matches!(error, ChainError::StaleHead { got: 80, .. }), "{error}"),
        }
    }
    assert_eq!(added, [101]);
}

#[actix_web::test]
async fn a_chain_that_was_set_back_is_believed_in_the_end() {
    let (chain, server) = served(Chain { head: 100, events: vec![98], ..Chain::default() });
    let mut scanner = scanner(&server, Some(80));
    scanner.poll().await.unwrap();
    *chain.lock().unwrap() =
        Chain { head: 50, forked_at: 40, fork: 1, events: vec![45, 98], ..Chain::default() };
    let mut refused = 0;
    let pass = loop {
        match scanner.poll().await {
            Ok(pass) => break pass,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        refused += 1;
    };
    assert_eq!(refused, 10);
    assert_eq!(heights(&pass), (vec![45], vec![]));
    chain.lock().unwrap().head = 99;
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![98], vec![98]));
}

#[actix_web::test]
async fn a_restarted_scanner_that_is_told_what_was_reported_takes_back_what_vanished_meanwhile() {
    let (chain, server) = served(Chain { head: 100, events: vec![95, 98], ..Chain::default() });
    let before = scanner(&server, Some(80)).poll().await.unwrap();
    *chain.lock().unwrap() =
        Chain { head: 105, forked_at: 97, fork: 1, events: vec![95, 104], ..Chain::default() };
    let mut after = scanner(&server, Some(before.scanned_to)).with_reported(before.added);
    assert_eq!(heights(&after.poll().await.unwrap()), (vec![104], vec![98]));
}

#[actix_web::test]
async fn an_error_of_the_logs_changes_nothing_and_the_next_pass_reads_them() {
    let (chain, server) = served(Chain { head: 100, ..Chain::default() });
    let mut scanner = scanner(&server, Some(90));
    scanner.poll().await.unwrap();
    chain.lock().unwrap().head = 103;
    chain.lock().unwrap().events = vec![102];
    server.fails_always(Fault::Html);
    assert!(scanner.poll().await.unwrap_err().is_transient());
    server.recovers();
    assert_eq!(heights(&scanner.poll().await.unwrap()), (vec![102], vec![]));
}

#[actix_web::test]
async fn a_pass_can_be_run_on_any_thread() {
    fn can_move<T: Send>(_: &T) {}
    let (_, server) = served(Chain { head: 100, ..Chain::default() });
    let mut scanner = scanner(&server, None);
    let pass = scanner.poll();
    can_move(&pass);
    assert!(pass.await.unwrap().is_caught_up());
}

#[actix_web::test]
async fn logs_that_one_endpoint_leaves_out_are_known_a_pass_later() {
    let (honest, good) = served(Chain { head: 5000, ..Chain::default() });
    // It shows every block and no log.
    let (hiding, bad) = served(Chain { head: 5000, logs_head: Some(0), ..Chain::default() });
    for servers in [[&bad, &good], [&good, &bad]] {
        honest.lock().unwrap().head = 5000;
        hiding.lock().unwrap().head = 5000;
        let mut scanner = LogScanner::new(rpc(&servers), MARKET, None, LogScanner::DEFAULT_OVERLAP);
        scanner.poll().await.unwrap();
        honest.lock().unwrap().events = vec![5001];
        for chain in [&honest, &hiding] {
            chain.lock().unwrap().head = 5001;
        }
        let mut added = Vec::new();
        for _ in 0..2 {
            added.extend(heights(&scanner.poll().await.unwrap()).0);
        }
        assert_eq!(added, [5001]);
        honest.lock().unwrap().events.clear();
    }
}

#[actix_web::test]
async fn no_single_endpoint_ends_a_job() {
    let honest = Chain { head: 100, events: vec![98], ..Chain::default() };
    let (_, liar) = served(Chain { ends: vec![99], ..honest.clone() });
    let (chain, other) = served(honest);
    let mut scanner = LogScanner::new(rpc(&[&liar, &other]), MARKET, Some(90), LogScanner::DEFAULT_OVERLAP);
    let mut added = Vec::new();
    for _ in 0..6 {
        added.extend(heights(&scanner.poll().await.unwrap()).0);
    }
    assert_eq!(added, [98], "whoever is asked first");
    chain.lock().unwrap().ends = vec![99];
    let mut passes = 0;
    while !added.contains(&99) {
        added.extend(heights(&scanner.poll().await.unwrap()).0);
        passes += 1;
        assert!(passes < 6, "two say so");
    }
    assert_eq!(added, [98, 99]);
}
