//! Connections that die, as nodes and networks let them.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use t4t_clock::{SystemClock, timeout};
use t4t_swarm::{Bee, BeeConfig, SwarmError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message as Frame;

const LIMIT: Duration = Duration::from_secs(30);
const ANSWER: &str = r#"{"status":"ok","version":"2.8.1-x","apiVersion":"8.1.0"}"#;

async fn listen() -> (TcpListener, BeeConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, BeeConfig::new(url.parse().unwrap()))
}

fn bee(config: BeeConfig) -> Bee {
    Bee::new(config, SystemClock::shared()).unwrap()
}

async fn read_request(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut piece = [0; 1024];
    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => seen.extend_from_slice(&piece[..read]),
            _ => return false,
        }
    }
    true
}

async fn answer(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_call_on_a_kept_connection_that_died_is_made_again() {
    let (listener, config) = listen().await;
    let node = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut first).await);
        answer(&mut first, ANSWER).await;
        // The second call arrives on the kept connection, which ends under it.
        assert!(read_request(&mut first).await);
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        assert!(read_request(&mut second).await);
        answer(&mut second, ANSWER).await;
    });
    let bee = bee(config);
    bee.health().await.unwrap();
    assert_eq!(bee.health().await.unwrap().status, "ok");
    timeout(&SystemClock, LIMIT, node).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_that_accepts_and_says_nothing_is_given_up_in_time() {
    let (listener, config) = listen().await;
    let limit = Duration::from_millis(100);
    let bee = bee(BeeConfig { query_timeout: limit, ..config });
    let call = tokio::spawn(async move { bee.health().await });
    let _silent = listener.accept().await.unwrap();
    let error = timeout(&SystemClock, LIMIT, call).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, SwarmError::TimedOut(after) if after == limit), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_its_limit() {
    let (listener, config) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        while stream.write_all(b"400\r\n").await.is_ok() {
            if stream.write_all(&[b'x'; 0x400]).await.is_err() || stream.write_all(b"\r\n").await.is_err() {
                break;
            }
        }
    });
    let reference = t4t_types::SwarmRef::ZERO;
    let error = bee(config).download(&reference, 100_000, t4t_swarm::Patience::once()).await.unwrap_err();
    assert!(matches!(error, SwarmError::TooLarge { limit: 100_000, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_the_nodes_json_is_malformed() {
    let (listener, config) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        answer(&mut stream, "<html>a proxy's page</html>").await;
    });
    let error = bee(config).health().await.unwrap_err();
    assert!(matches!(error, SwarmError::Malformed { call: "health", .. }), "{error:?}");
}

#[tokio::test]
async fn dropping_a_subscription_ends_its_connection() {
    let (listener, config) = listen().await;
    let subscription = bee(config).subscribe("topic");
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = accept_async(stream).await.unwrap();
    subscription.wait_connected(LIMIT).await.unwrap();
    drop(subscription);
    let end = timeout(&SystemClock, LIMIT, socket.next()).await.unwrap();
    assert!(end.is_none_or(|frame| frame.is_err()), "the connection ended");
}

#[tokio::test]
async fn a_subscription_sends_no_pings_and_survives_frames_of_every_kind() {
    let (listener, config) = listen().await;
    let mut subscription = bee(config).subscribe("topic");
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = accept_async(stream).await.unwrap();
    for frame in [
        Frame::binary(Vec::new()),
        Frame::text("text"),
        Frame::Ping(Vec::new().into()),
        Frame::binary(vec![1]),
    ] {
        socket.send(frame).await.unwrap();
    }
    let message = timeout(&SystemClock, LIMIT, subscription.next()).await.unwrap().unwrap();
    assert_eq!(message, vec![1]);
}

#[tokio::test]
async fn a_url_that_is_no_nodes_is_refused() {
    for url in ["ftp://localhost", "mailto:a@b"] {
        let refused = Bee::new(BeeConfig::new(url.parse().unwrap()), SystemClock::shared());
        assert!(matches!(refused, Err(SwarmError::Setup(_))), "{url}");
    }
}

#[tokio::test]
async fn credentials_in_the_url_are_never_shown() {
    let bee = bee(BeeConfig::new("http://operator:hunter2@127.0.0.1:1".parse().unwrap()));
    assert!(!format!("{bee:?}").contains("hunter2"));
    let error = bee.health().await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}
