//! The HTTP server: its errors, its health and readiness, its end.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it where they can't help")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use t4t_runtime::Readiness;
use t4t_runtime::config::Bind;
use t4t_runtime::http::{RunningServer, ServeConfig, ServeError, serve};

fn config(address: &str, guarded: bool) -> ServeConfig {
    let bind = Bind { address: address.parse().unwrap(), port_setting: "T4T_GATEWAY_PORT" };
    ServeConfig { name: "the gateway", bind, guarded }
}

fn start(board: &Readiness) -> RunningServer {
    let board = board.clone();
    serve(config("127.0.0.1:0", false), move |routes| board.routes(routes)).unwrap()
}

async fn get(address: SocketAddr, path: &'static str) -> String {
    ask(address, path, "host: x").await
}

async fn ask(address: SocketAddr, path: &'static str, head: &'static str) -> String {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

#[actix_web::test]
async fn a_used_port_is_named_with_the_setting_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = serve(config(&format!("127.0.0.1:{port}"), false), |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("port {port} for the gateway is used by another program: set T4T_GATEWAY_PORT to a free one")
    );
}

#[actix_web::test]
async fn without_a_secret_only_this_machine_is_served() {
    let error = serve(config("0.0.0.0:0", false), |_| {}).unwrap_err();
    assert!(matches!(error, ServeError::Open { .. }), "{error}");
    assert!(error.to_string().contains("T4T_SERVICE_TOKEN"));
    serve(config("0.0.0.0:0", true), |_| {}).unwrap().stop().await;
}

#[actix_web::test]
async fn health_is_ok_at_once_and_ready_says_what_is_missing() {
    let board = Readiness::new("1.2.3");
    let chain = board.component("chain");
    let server = start(&board);
    let health = get(server.address(), "/health").await;
    assert!(
        health.starts_with("HTTP/1.1 200") && health.contains(r#"{"status":"ok","version":"1.2.3","tasks":"#),
        "{health}"
    );

    chain.not_ready("no answer", "correct GNOSIS_RPC_URL");
    let ready = get(server.address(), "/ready").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("correct GNOSIS_RPC_URL"), "{ready}");

    chain.ready();
    let ready = get(server.address(), "/ready").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""ready":true"#), "{ready}");
    server.stop().await;
}

#[actix_web::test]
async fn a_page_that_points_its_own_name_here_is_not_answered() {
    let board = Readiness::new("0");
    board.component("chain").not_ready("a secret reason", "none");
    let server = start(&board);
    for path in ["/health", "/ready", "/nowhere"] {
        for head in ["host: evil.example", "host: localhost\r\nsec-fetch-site: cross-site"] {
            let answer = ask(server.address(), path, head).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{head}: {answer}");
            assert!(!answer.contains("a secret reason") && !answer.contains("version"), "{answer}");
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_stopped_server_lets_go_of_its_port() {
    let server = start(&Readiness::new("0"));
    let address = server.address();
    server.stop().await;
    TcpListener::bind(address).unwrap();
}
