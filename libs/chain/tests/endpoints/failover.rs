//! One endpoint fails, another answers.

use std::time::Duration;

use serde_json::json;
use t4t_chain::{ChainError, EndpointFault, Rpc, RpcConfig};
use t4t_clock::{ManualClock, SystemClock};
use t4t_types::UnixSeconds;

use crate::fault_server::{Fault, FaultServer, config, eventually, rpc, rpc_with};

#[actix_web::test]
async fn every_fault_of_one_endpoint_is_answered_by_the_other() {
    let faults = [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(404),
        Fault::Status(401),
        Fault::RateLimited { retry_after: None },
        Fault::RateLimited { retry_after: Some("2") },
        Fault::RateLimited { retry_after: Some("Wed, 21 Oct 2026 07:28:00 GMT") },
        Fault::RateLimitedInJson,
        Fault::Hang,
        Fault::Truncated,
        Fault::WrongId,
        Fault::Html,
        Fault::Redirect,
    ];
    for fault in faults {
        let (bad, good) = (FaultServer::of_chain_100(), FaultServer::of_chain_100());
        bad.fails_always(fault.clone());
        let rpc = rpc(&[&bad, &good]);
        assert_eq!(rpc.chain_id().await, Ok(100), "{fault:?}");
        assert_eq!(rpc.chain_id().await, Ok(100), "{fault:?}");
        // The one that answered is asked first from then on.
        assert_eq!((bad.hits(), good.hits()), (1, 2), "{fault:?}");
        assert_eq!(rpc.counts().requests, 3);
        assert_eq!(rpc.calls(), 3);
    }
}

#[actix_web::test]
async fn an_endpoint_that_nobody_listens_on_is_answered_by_the_other() {
    let good = FaultServer::of_chain_100();
    let closed = "http://127.0.0.1:1".parse().unwrap();
    let rpc = rpc_with(RpcConfig::new([closed, good.url.clone()]), SystemClock::shared());
    assert_eq!(rpc.chain_id().await, Ok(100));
}

#[actix_web::test]
async fn a_single_endpoint_that_recovers_is_asked_again() {
    let server = FaultServer::of_chain_100();
    for fault in [Fault::Status(502), Fault::Html, Fault::Truncated] {
        server.fails_next(fault);
    }
    assert_eq!(rpc(&[&server]).chain_id().await, Ok(100));
    assert_eq!(server.hits(), 4);
}

#[actix_web::test]
async fn an_endpoint_is_left_alone_for_as_long_as_it_asks() {
    let server = FaultServer::of_chain_100();
    server.fails_next(Fault::RateLimited { retry_after: Some("3") });
    let clock = ManualClock::new(UnixSeconds::new(1_000));
    let rpc = rpc_with(config(&[&server]), clock.clone());
    let asked = actix_web::rt::spawn({
        let rpc = rpc.clone();
        async move { rpc.chain_id().await }
    });
    // The request's own limit runs on the same clock, so it is moved only once the answer is there.
    eventually("the endpoint is asked", || server.hits() == 1).await;
    eventually("the pause is noted", || rpc.counts().requests == 1).await;
    for _ in 0..100 {
        actix_web::rt::task::yield_now().await;
    }
    clock.advance(Duration::from_millis(250));
    clock.advance(Duration::from_millis(2_700));
    for _ in 0..100 {
        actix_web::rt::task::yield_now().await;
    }
    assert_eq!(server.hits(), 1);
    clock.advance(Duration::from_millis(100));
    assert_eq!(asked.await.unwrap(), Ok(100));
}

#[actix_web::test]
async fn a_pause_longer_than_the_deadline_is_reported_at_once() {
    let server = FaultServer::of_chain_100();
    server.fails_always(Fault::RateLimited { retry_after: Some("3600") });
    let config = RpcConfig { max_asked: Duration::from_secs(60), ..config(&[&server]) };
    let rpc = rpc_with(config, SystemClock::shared());
    for _ in 0..2 {
        let error = rpc.chain_id().await.unwrap_err();
        assert!(matches!(error, ChainError::RateLimited { .. }), "{error}");
        assert!(error.is_transient());
    }
    assert_eq!(server.hits(), 1);
}

#[actix_web::test]
async fn attempts_end() {
    let server = FaultServer::of_chain_100();
    server.fails_always(Fault::Html);
    let mut config = config(&[&server]);
    config.attempts = 3;
    let error = rpc_with(config, SystemClock::shared()).chain_id().await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { fault: EndpointFault::Garbage(_), .. }), "{error}");
    assert_eq!(server.hits(), 3);
}

#[actix_web::test]
async fn the_deadline_ends_all_attempts() {
    let server = FaultServer::of_chain_100();
    server.fails_always(Fault::Hang);
    let mut config = config(&[&server]);
    config.deadline = Duration::from_millis(100);
    let error = rpc_with(config, SystemClock::shared()).chain_id().await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { fault: EndpointFault::Timeout(_), .. }), "{error}");
}

#[actix_web::test]
async fn a_refusal_that_may_be_about_the_call_is_asked_of_each_endpoint_once() {
    let (first, second) = (FaultServer::of_chain_100(), FaultServer::of_chain_100());
    let error = rpc(&[&first, &second]).call::<String>("eth_coinbase", json!([])).await.unwrap_err();
    assert!(matches!(error, ChainError::Answer { code: -32601, .. }), "{error}");
    assert_eq!((first.hits(), second.hits()), (1, 1));
    // Neither was wrong, so neither rests.
    let error = rpc(&[&first]).call::<String>("eth_coinbase", json!([])).await.unwrap_err();
    assert!(matches!(error, ChainError::Answer { code: -32601, .. }), "{error}");
}

#[actix_web::test]
async fn an_answer_without_end_takes_bounded_memory() {
    let server = FaultServer::of_chain_100();
    server.fails_always(Fault::Huge(100_000));
    let mut config = config(&[&server]);
    config.max_response_bytes = 10_000;
    let error = rpc_with(config, SystemClock::shared()).chain_id().await.unwrap_err();
    assert_eq!(error, ChainError::TooLarge { limit: 10_000 });
}

#[actix_web::test]
async fn an_endpoint_of_another_chain_is_found_out() {
    let right = FaultServer::of_chain_100();
    let wrong = FaultServer::start(|_, _| Ok(json!("0x1")));
    let down = FaultServer::of_chain_100();
    down.fails_always(Fault::Status(500));
    assert_eq!(rpc(&[&right, &down]).verify_chain(100).await, Ok(()));
    let found = rpc(&[&right, &wrong]).verify_chain(100).await;
    assert_eq!(found, Err(ChainError::WrongChain { expected: 100, got: 1 }));
    assert!(rpc(&[&down]).verify_chain(100).await.unwrap_err().is_transient());
}

#[actix_web::test]
async fn the_key_in_an_endpoints_url_is_never_shown() {
    let config = RpcConfig::new(["http://user:hunter2@127.0.0.1:1/v3/s3cret?key=s3cret".parse().unwrap()]);
    let mut shown = format!("{config:?}");
    let rpc = Rpc::new(RpcConfig { attempts: 1, ..config }, SystemClock::shared()).unwrap();
    shown.push_str(&format!("{rpc:?}"));
    let mut cause: &dyn std::error::Error = &rpc.chain_id().await.unwrap_err();
    shown.push_str(&format!("{cause:?}"));
    while let Some(next) = cause.source() {
        shown.push_str(&format!("{cause} {next}"));
        cause = next;
    }
    assert!(!shown.contains("s3cret") && !shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("127.0.0.1:1"), "{shown}");
}

#[test]
fn a_client_without_endpoints_or_of_another_scheme_is_refused() {
    let none = Rpc::new(RpcConfig::new([]), SystemClock::shared());
    assert!(matches!(none, Err(ChainError::Setup(_))));
    let socket = Rpc::new(RpcConfig::new(["ws://127.0.0.1".parse().unwrap()]), SystemClock::shared());
    assert!(matches!(socket, Err(ChainError::Setup(_))));
}
