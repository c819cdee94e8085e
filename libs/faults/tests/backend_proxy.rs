//! The backend that goes wrong: what passes, and what does not.

#![cfg(test)]

use std::time::Duration;

use futures_util::StreamExt;
use t4t_clock::{SystemClock, timeout};
use t4t_faults::backend_proxy::{BackendFault, BackendProxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

const BODY: &str = "data: {\"a\":1}\n\ndata: [DONE]\n\n";

/// A backend that gives the same answer to everyone who sends its key.
async fn backend() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let read = socket.read(&mut bytes).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&bytes[..read]).to_ascii_lowercase();
            let status = if asked.contains("authorization: bearer secret") { 200 } else { 401 };
            let head = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                BODY.len()
            );
            let _sent = socket.write_all(format!("{head}{BODY}").as_bytes()).await;
        }
    });
    url
}

async fn post(proxy: &BackendProxy) -> reqwest::Result<reqwest::Response> {
    let url = proxy.url().join("/v1/chat/completions").unwrap();
    reqwest::Client::new().post(url).bearer_auth("secret").body("{}").send().await
}

#[tokio::test]
async fn what_goes_well_passes_as_it_is() {
    let proxy = BackendProxy::start(&backend().await, 1).await.unwrap();
    let answer = post(&proxy).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.text().await.unwrap(), BODY);
    assert_eq!(proxy.injected(), 0);
}

#[tokio::test]
async fn refusals_and_cuts_are_as_they_were_set_and_counted() {
    let proxy = BackendProxy::start(&backend().await, 1).await.unwrap();
    for (fault, status) in [(BackendFault::ServerError, 500), (BackendFault::RateLimited, 429)] {
        proxy.mix(&[(fault, 1.0)]);
        assert_eq!(post(&proxy).await.unwrap().status(), status);
    }
    let cut = BackendFault::Cut { after: 10 };
    proxy.mix(&[(cut, 1.0)]);
    let mut pieces = post(&proxy).await.unwrap().bytes_stream();
    let mut got = Vec::new();
    let broken = loop {
        match pieces.next().await {
            Some(Ok(piece)) => got.extend_from_slice(&piece),
            end => break end,
        }
    };
    assert!(matches!(broken, Some(Err(_))), "the cut looks like an end");
    assert_eq!(got, &BODY.as_bytes()[..10]);
    assert_eq!(proxy.counts()[&cut], 1);
    assert_eq!(proxy.injected(), 3);
    proxy.heal();
    assert_eq!(post(&proxy).await.unwrap().text().await.unwrap(), BODY);
}

#[tokio::test]
async fn a_hang_lasts_for_as_long_as_the_caller_waits() {
    let proxy = BackendProxy::start(&backend().await, 1).await.unwrap();
    proxy.mix(&[(BackendFault::Hang, 1.0)]);
    assert!(timeout(&SystemClock, Duration::from_millis(300), post(&proxy)).await.is_err());
}
