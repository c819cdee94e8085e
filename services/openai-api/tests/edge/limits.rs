//! Bounds: requests, bodies, slow clients, stopping.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{Gateway, chat, eventually, read, streamed};
use crate::market::{HELLO, answered, selected};

#[tokio::test]
async fn one_request_too_many_is_told_to_come_back_and_never_waits() {
    let gateway = Gateway::start();
    gateway.buyer.plays_and_waits(vec![selected()]);
    let waiting = join_all((0..256).map(|_| gateway.post(&chat()).send()));
    let waiting = tokio::spawn(waiting);
    eventually("256 purchases run", || gateway.buyer.begun() == 256).await;
    let response = gateway.post(&chat()).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    insta::assert_json_snapshot!(read(response).await);
    assert_eq!(gateway.get("/v1/models").send().await.unwrap().status(), 200);
    for index in 0..256 {
        gateway.buyer.say(index, answered(HELLO));
    }
    for response in waiting.await.unwrap() {
        assert_eq!(response.unwrap().status(), 200);
    }
    gateway.buyer.plays(vec![answered(HELLO)]);
    assert_eq!(gateway.post(&chat()).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_it_says_its_length_or_not() {
    let gateway = Gateway::configured(|config| config.max_body_bytes = 100_000);
    let url = gateway.url("/v1/chat/completions");
    let pieces = || (0..30).map(|_| Ok::<_, std::io::Error>(vec![b' '; 10_000]));
    let known = gateway.http.post(&url).body(vec![b' '; 300_000]).send().await.unwrap();
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces()));
    let unknown = gateway.http.post(&url).body(chunked).send().await.unwrap();
    for response in [known, unknown] {
        let (status, body) = read(response).await;
        assert_eq!((status, &body["error"]["code"]), (413, &json!("request_too_large")));
    }
    let mut body = chat();
    body["messages"][0]["content"] = json!("x".repeat(90_000));
    gateway.buyer.plays(vec![answered(HELLO)]);
    assert_eq!(gateway.post(&body).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_request_longer_than_a_swarm_node_brings_in_time_is_refused_unpaid() {
    let gateway = Gateway::start();
    gateway.buyer.plays(vec![answered(HELLO)]);
    let sized = |length: usize| {
        let mut body = chat();
        body["messages"][0]["content"] = json!("x".repeat(length));
        body
    };
    assert_eq!(gateway.post(&sized((4 << 20) - 1000)).send().await.unwrap().status(), 200);
    let (status, body) = read(gateway.post(&sized(4 << 20)).send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (413, &json!("request_too_large")));
    assert!(body["error"]["message"].as_str().unwrap().contains("T4T_MAX_REQUEST_BYTES"));
    assert_eq!(gateway.buyer.begun(), 1);
}

#[tokio::test]
async fn bodies_together_are_bounded() {
    let gateway = Gateway::configured(|config| config.max_held_bytes = 1 << 20);
    gateway.buyer.plays_and_waits(vec![selected()]);
    let mut body = streamed(json!({}));
    body["messages"][0]["content"] = json!("x".repeat(600_000));
    let first = gateway.begins(gateway.post(&body)).await;
    let refused = gateway.post(&body).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    drop(first);
    eventually("the first is dropped", || gateway.buyer.listened_to() == 0).await;
    assert_eq!(gateway.begins(gateway.post(&body)).await.status(), 200);
    assert_eq!(gateway.buyer.begun(), 2);
}

/// Sends the head of a request and `body`, which may be shorter than the head says.
async fn raw(gateway: &Gateway, length: usize, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(gateway.running.addr()).await.unwrap();
    client.write_all(head_and(length, body).as_bytes()).await.unwrap();
    client
}

fn head_and(length: usize, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_no_longer_than_its_time() {
    let gateway = Gateway::start();
    let mut client = raw(&gateway, 100, "{").await;
    let mut answer = vec![0; 4096];
    let read = tokio::select! {
        read = client.read(&mut answer) => read.unwrap(),
        never = gateway.time_passes() => never,
    };
    assert!(std::str::from_utf8(&answer[..read]).unwrap().starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_head_that_does_not_come_is_cut_off() {
    let gateway = Gateway::configured(|config| config.head_timeout = Duration::from_millis(100));
    let mut client = TcpStream::connect(gateway.running.addr()).await.unwrap();
    client.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost:").await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 408"));
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let gateway = Gateway::configured(|config| config.write_stall = Duration::from_secs(1));
    // More than the system's buffers of both sides hold.
    let answer =
        json!({"choices": [{"message": {"content": "x".repeat(24 << 20)}, "finish_reason": "stop"}]});
    gateway.buyer.plays_and_waits(vec![selected(), answered(&answer.to_string())]);
    let body = streamed(json!({})).to_string();
    let client = raw(&gateway, body.len(), &body).await;
    eventually("the purchase is begun", || gateway.buyer.begun() == 1).await;
    eventually("the purchase is dropped", || gateway.buyer.listened_to() == 0).await;
    drop(client);
}

#[tokio::test]
async fn a_client_that_takes_its_answer_slowly_keeps_nobody_from_buying() {
    let gateway = Gateway::configured(|config| config.max_in_flight = 1);
    let answer =
        json!({"choices": [{"message": {"content": "x".repeat(24 << 20)}, "finish_reason": "stop"}]});
    gateway.buyer.plays_and_waits(vec![selected(), answered(&answer.to_string())]);
    let body = streamed(json!({})).to_string();
    let _slow = raw(&gateway, body.len(), &body).await;
    eventually("the purchase is begun", || gateway.buyer.begun() == 1).await;
    eventually("the answer is there", || gateway.buyer.listened_to() == 0).await;
    gateway.buyer.plays(vec![answered(HELLO)]);
    assert_eq!(gateway.post(&chat()).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_taken_by_the_byte_is_cut_off() {
    let gateway = Gateway::configured(|config| {
        config.write_stall = Duration::from_secs(1);
        config.slowest_reader = 64 << 20;
    });
    let answer =
        json!({"choices": [{"message": {"content": "x".repeat(24 << 20)}, "finish_reason": "stop"}]});
    gateway.buyer.plays_and_waits(vec![selected(), answered(&answer.to_string())]);
    let body = streamed(json!({})).to_string();
    // A system that takes little ahead of its reader.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(gateway.running.addr()).await.unwrap();
    slow.write_all(head_and(body.len(), &body).as_bytes()).await.unwrap();
    let (mut piece, mut reads) = ([0; 64], 0);
    // Each piece frees some room, so that the system sees a client that reads.
    while slow.read(&mut piece).await.is_ok_and(|read| read > 0) {
        reads += 1;
        assert!(reads < 6000, "after {reads} pieces it is still open");
        t4t_clock::Clock::sleep(&t4t_clock::SystemClock, Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn one_connection_too_many_closes_one_that_only_waits() {
    let gateway = Gateway::configured(|config| config.max_connections = 40);
    gateway.buyer.plays_and_waits(vec![selected()]);
    let waiting = tokio::spawn(gateway.post(&chat()).send());
    eventually("the purchase is begun", || gateway.buyer.begun() == 1).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(gateway.running.addr()).await.unwrap());
        assert_eq!(gateway.get("/v1/models").send().await.unwrap().status(), 200);
    }
    let mut closed = 0;
    for connection in &mut idle {
        let mut byte = [0];
        let read =
            t4t_clock::timeout(&t4t_clock::SystemClock, Duration::from_millis(1), connection.read(&mut byte));
        closed += usize::from(matches!(read.await, Ok(Ok(0) | Err(_))));
    }
    assert!(closed >= 140, "{closed} of 200 were closed");
    gateway.buyer.say(0, answered(HELLO));
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn stopping_lets_a_request_end_and_takes_no_new_one() {
    let gateway = Gateway::configured(|config| config.stop_grace = Duration::from_secs(20));
    gateway.buyer.plays_and_waits(vec![selected()]);
    let waiting = tokio::spawn(gateway.post(&chat()).send());
    eventually("the purchase is begun", || gateway.buyer.begun() == 1).await;
    let Gateway { running, buyer, .. } = gateway;
    let addr = running.addr();
    let stopping = tokio::spawn(running.stop());
    eventually("the port is closed", || std::net::TcpStream::connect(addr).is_err()).await;
    assert!(!stopping.is_finished());
    buyer.say(0, answered(HELLO));
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let gateway = Gateway::start();
    let config = t4t_openai_api::OpenAiConfig { bind: gateway.running.addr(), ..Default::default() };
    let deps = t4t_openai_api::OpenAiDeps {
        buying: gateway.buyer.clone(),
        watcher: gateway.watcher.clone(),
        readiness: t4t_runtime::Readiness::new("0"),
        clock: gateway.clock.clone(),
    };
    let error = t4t_openai_api::OpenAiApi::start(config, deps).unwrap_err();
    assert!(error.to_string().contains(&gateway.running.addr().to_string()), "{error}");
}

#[tokio::test]
async fn a_retry_that_gets_no_slot_is_told_at_once_and_waits_for_nobody() {
    let gateway = Gateway::configured(|config| config.max_in_flight = 1);
    gateway.buyer.plays_and_waits(vec![selected()]);
    let body = chat().to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nx-stainless-retry-count: 1\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut retry = TcpStream::connect(gateway.running.addr()).await.unwrap();
    retry.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = retry.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 100"), "there was a slot when it began");
    let first =
        tokio::spawn(gateway.http.post(gateway.url("/v1/chat/completions")).body(body.clone()).send());
    eventually("the first has the slot", || gateway.buyer.begun() == 1).await;
    retry.write_all(body.as_bytes()).await.unwrap();
    // The clock stands still: who waits for the first to go waits for ever.
    let length = retry.read(&mut answer).await.unwrap();
    let answer = std::str::from_utf8(&answer[..length]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    first.abort();
}
