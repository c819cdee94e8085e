//! An endpoint of the chain that answers every question with what it is told to, over real HTTP: the whole way of an
//! answer is under test, as a hostile endpoint would walk it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use t4t_chain::{Rpc, RpcConfig};
use t4t_clock::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What a question's body becomes: the answer's body.
type Answering = fn(answer: &[u8], question: &Value) -> Vec<u8>;

/// A client of an endpoint that says what it is told to.
pub struct Endpoint {
    runtime: Runtime,
    rpc: Rpc,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Endpoint {
    /// Starts it.
    pub fn start(answering: Answering) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(serve(listener, Arc::clone(&answer), answering));
        let config = RpcConfig {
            attempts: 1,
            backoff: Duration::ZERO,
            max_backoff: Duration::ZERO,
            max_asked: Duration::ZERO,
            ..RpcConfig::new([url.parse().expect("a URL")])
        };
        let rpc = runtime.block_on(async { Rpc::new(config, SystemClock::shared()) }).expect("a client");
        Self { runtime, rpc, answer }
    }

    /// Asks while the endpoint answers like this.
    pub fn ask<T>(&self, answer: &[u8], question: impl AsyncFnOnce(&Rpc) -> T) -> T {
        *self.answer.lock().expect("nobody panics with it") = answer.to_vec();
        self.runtime.block_on(question(&self.rpc))
    }
}

async fn serve(listener: TcpListener, answer: Arc<Mutex<Vec<u8>>>, answering: Answering) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(converse(socket, Arc::clone(&answer), answering));
    }
}

/// One connection's requests, one after the other; `None` at its end.
async fn converse(mut socket: TcpStream, answer: Arc<Mutex<Vec<u8>>>, answering: Answering) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let mut bytes = Vec::new();
    loop {
        let question = read(&mut socket, &mut bytes).await?;
        let body = answering(&answer.lock().ok()?.clone(), &serde_json::from_slice(&question).ok()?);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(&[head.as_bytes(), &body].concat()).await.ok()?;
    }
}

async fn read(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let end = head + 4 + length.unwrap_or(0);
            if bytes.len() >= end {
                let body = bytes[head + 4..end].to_vec();
                bytes.drain(..end);
                return Some(body);
            }
        }
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
