//! A proxy in the environment sees nothing of what is near, and no redirect is followed.
//!
//! The environment of a process is read once, so that each part runs in a process of its own: this test starts itself.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it where they can't help")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use url::Url;

/// Set, with the address to ask, in the process that asks.
const ASKS: &str = "OUTBOUND_TEST_ASKS";

/// A listener that answers everything with `answer`, and how often it was connected to.
fn listener(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut socket = socket.unwrap();
            let mut head = [0; 4096];
            // Whoever closes at once has asked nothing.
            if socket.read(&mut head).is_ok() {
                let _gone = socket.write_all(answer.as_bytes());
            }
        }
    });
    (address, seen)
}

fn ok() -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".into()
}

/// Runs this test again with the variables set; what it printed.
fn asks(test: &str, url: &str, variables: &[&str], proxy: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(ASKS, url)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    for name in variables {
        command.env(name, format!("http://{proxy}"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn ask(builder: reqwest::ClientBuilder, url: &Url) -> String {
    match builder.build().unwrap().get(url.clone()).send().await {
        Ok(answer) => format!("answered {}", answer.status().as_u16()),
        Err(_) => "unanswered".into(),
    }
}

#[tokio::test]
async fn a_proxy_in_the_environment_sees_nothing_of_what_is_near() {
    if let Ok(url) = std::env::var(ASKS) {
        let url: Url = url.parse().unwrap();
        let (direct, toward) =
            (ask(t4t_outbound::direct(), &url).await, ask(t4t_outbound::toward(&url), &url).await);
        eprintln!("direct {direct}, toward {toward}");
        return;
    }
    let test = "a_proxy_in_the_environment_sees_nothing_of_what_is_near";
    let ((near, asked), (proxy, seen)) = (listener(ok()), listener(ok()));
    let said = asks(test, &format!("http://{near}/"), &t4t_outbound::PROXY_VARIABLES, &proxy);
    assert!(said.contains("direct answered 200, toward answered 200"), "{said}");
    assert_eq!((asked.load(Ordering::SeqCst), seen.load(Ordering::SeqCst)), (2, 0));
    // What shows that the listener would have seen it: the public internet is asked through it, by CONNECT.
    let said = asks(test, "https://rpc.example.com/", &["HTTPS_PROXY"], &proxy);
    assert!(said.contains("direct unanswered"), "{said}");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (elsewhere, seen) = listener(ok());
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (first, _) = listener(moved);
    let url: Url = format!("http://{first}/").parse().unwrap();
    for builder in [t4t_outbound::direct(), t4t_outbound::toward(&url), t4t_outbound::outside()] {
        assert_eq!(ask(builder, &url).await, "answered 307");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}
