//! Attacks that go on until they are called off.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use t4t_clock::{Clock, SystemClock, timeout};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::raw::{chat, exchange, narrow};
use super::smuggling;

/// A way to hurt a server without asking for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attack {
    /// Connections that say nothing, so many.
    Idle(usize),
    /// Heads that come by the byte, on fresh connections and on such that were answered before.
    SlowHeads(usize),
    /// Bodies that come by the byte.
    SlowBodies(usize),
    /// Streamed answers, each of them bought, that are taken by the byte.
    SlowReaders(usize),
    /// Many requests at once on one connection whose answers nobody takes.
    Pipelines(usize),
    /// Chunked bodies without end, for a route that takes bodies and one that does not.
    EndlessBodies(usize),
    /// What is no HTTP, or two things at once.
    Garbage(usize),
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(count) => write!(f, "{count} idle connections"),
            Self::SlowHeads(count) => write!(f, "{count} heads at 1 byte/s"),
            Self::SlowBodies(count) => write!(f, "{count} bodies at 1 byte/s"),
            Self::SlowReaders(count) => write!(f, "{count} streamed answers read at 1 byte/s"),
            Self::Pipelines(count) => write!(f, "{count} unread pipelines of 2,000 requests"),
            Self::EndlessBodies(count) => write!(f, "{count} chunked bodies without end"),
            Self::Garbage(count) => write!(f, "{count} senders of garbage"),
        }
    }
}

/// Connections opened at a time.
const OPENED_AT_ONCE: usize = 64;

/// Closed connections are opened again, at most so many a second.
const REOPENED: usize = 400;

/// Between two bytes.
const SECOND: Duration = Duration::from_secs(1);

/// Requests of a pipeline.
const PIPELINED: usize = 2000;

/// Words of a question whose echoed answer does not fit into the buffers on the way.
const WORDS: usize = 3000;

/// A running attack; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    task: JoinHandle<()>,
    ready: Arc<AtomicBool>,
    reopened: Arc<AtomicU64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    /// Whether all its connections are open.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// How many of its connections were closed by the gateway and opened again.
    pub(crate) fn reopened(&self) -> u64 {
        self.reopened.load(Ordering::Relaxed)
    }
}

impl Attack {
    /// Begins.
    pub(crate) fn start(self, address: SocketAddr) -> Running {
        let (ready, reopened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tell = Tell { ready: Arc::clone(&ready), reopened: Arc::clone(&reopened) };
        let task = tokio::spawn(async move {
            match self {
                Self::EndlessBodies(count) => all(count, tell, |number| endless_body(address, number)).await,
                Self::Garbage(count) => all(count, tell, |number| garbage(address, number)).await,
                Self::Idle(count) | Self::SlowHeads(count) | Self::SlowBodies(count) => {
                    by_the_byte(self, address, count, tell).await;
                }
                Self::SlowReaders(count) | Self::Pipelines(count) => {
                    by_the_byte(self, address, count, tell).await;
                }
            }
        });
        Running { task, ready, reopened }
    }

    async fn open(self, address: SocketAddr, number: usize) -> std::io::Result<TcpStream> {
        let reads_slowly = matches!(self, Self::SlowReaders(_) | Self::Pipelines(_));
        let mut stream =
            if reads_slowly { narrow(address).await? } else { TcpStream::connect(address).await? };
        let first = match self {
            Self::SlowHeads(_) if number.is_multiple_of(2) => {
                "GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\nx: ".into()
            }
            Self::SlowHeads(_) => "GET /v1/models HTTP/1.1\r\nhost: x\r\nx: ".into(),
            Self::SlowBodies(_) => {
                "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n".into()
            }
            Self::SlowReaders(_) => chat(&format!("slowly {number} {}", "word ".repeat(WORDS)), true),
            Self::Pipelines(_) => "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".repeat(PIPELINED),
            _ => String::new(),
        };
        // A pipeline that is not read is not written in full either.
        let _stuck = timeout(&SystemClock, SECOND, stream.write_all(first.as_bytes())).await;
        Ok(stream)
    }

    /// Sends or takes the next byte; whether the connection is still there.
    fn step(self, stream: &TcpStream) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::SlowHeads(_) | Self::SlowBodies(_) => {
                // What is answered meanwhile is left unread but for the end.
                let mut answer = [0; 4096];
                let read = stream.try_read(&mut answer);
                if stream.try_write(b"a").is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock) {
                    return false;
                }
                read
            }
            _ => stream.try_read(&mut byte),
        };
        match read {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

struct Tell {
    ready: Arc<AtomicBool>,
    reopened: Arc<AtomicU64>,
}

/// Keeps so many connections open and moves a byte on each every second.
async fn by_the_byte(attack: Attack, address: SocketAddr, count: usize, tell: Tell) {
    let opened = stream::iter(0..count).map(|number| attack.open(address, number));
    let mut streams: Vec<TcpStream> =
        opened.buffer_unordered(OPENED_AT_ONCE).filter_map(|opened| async { opened.ok() }).collect().await;
    tell.ready.store(true, Ordering::Relaxed);
    loop {
        SystemClock.sleep(SECOND).await;
        streams.retain(|stream| attack.step(stream));
        // Answers that were bought once are not bought again.
        let missing = if matches!(attack, Attack::SlowReaders(_)) { 0 } else { count - streams.len() };
        let again = stream::iter(0..missing.min(REOPENED)).map(|number| attack.open(address, number));
        let again: Vec<TcpStream> =
            again.buffer_unordered(OPENED_AT_ONCE).filter_map(|opened| async { opened.ok() }).collect().await;
        tell.reopened.fetch_add(again.len() as u64, Ordering::Relaxed);
        streams.extend(again);
    }
}

/// Does the same thing again and again, so many times side by side.
async fn all<F: Future<Output = ()>>(count: usize, tell: Tell, again: impl Fn(usize) -> F) {
    tell.ready.store(true, Ordering::Relaxed);
    let loops = (0..count).map(|number| {
        let (again, reopened) = (&again, &tell.reopened);
        async move {
            loop {
                again(number).await;
                reopened.fetch_add(1, Ordering::Relaxed);
                SystemClock.sleep(SECOND / 10).await;
            }
        }
    });
    futures_util::future::join_all(loops).await;
}

/// A body that goes on until the connection is closed, at about 1 MB/s.
async fn endless_body(address: SocketAddr, number: usize) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let line = if number.is_multiple_of(2) { "POST /v1/chat/completions" } else { "GET /v1/models" };
    let head = format!("{line} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("19000\r\n{}\r\n", " ".repeat(0x19000));
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    while let Ok(Ok(())) = timeout(&SystemClock, SECOND * 10, stream.write_all(chunk.as_bytes())).await {
        SystemClock.sleep(SECOND / 10).await;
    }
}

async fn garbage(address: SocketAddr, number: usize) {
    let cases = smuggling::cases();
    // What comes back is looked at elsewhere.
    let case = &cases[number % cases.len()];
    let _heard = exchange(address, &case.bytes).await;
}
