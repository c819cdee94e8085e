//! A backend whose every byte is written out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use t4t_clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Value,
    /// How many came over the same connection before it.
    pub(crate) before: usize,
}

/// What to do with it.
pub(crate) enum Reply {
    /// Send this, and take the next request over the same connection if it says so.
    Send(Vec<u8>),
    /// Send these, one after the other, and then close.
    Slowly(Vec<(Duration, Vec<u8>)>),
    /// Close the connection.
    Close,
}

impl Reply {
    /// JSON with this status, over a connection that stays open.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string().as_bytes())
    }

    /// A body with this status and type.
    pub(crate) fn whole(status: u16, content_type: &str, body: &[u8]) -> Self {
        let content_type =
            if content_type.is_empty() { String::new() } else { format!("content-type: {content_type}\r\n") };
        let head = format!("HTTP/1.1 {status} Raw\r\n{content_type}content-length: {}\r\n\r\n", body.len());
        Self::Send([head.as_bytes(), body].concat())
    }

    /// A list of these models.
    pub(crate) fn models(models: &[Value]) -> Self {
        Self::json(200, &serde_json::json!({ "data": models }))
    }
}

/// A backend that ends when dropped.
pub(crate) struct RawBackend {
    pub(crate) url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl RawBackend {
    pub(crate) async fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (reply, asked) = (Arc::new(reply), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (reply, kept) = (Arc::clone(&reply), Arc::clone(&kept));
                tokio::spawn(async move { serve(socket, &*reply, &kept).await });
            }
        });
        Self { url, asked, task }
    }

    /// The requests of this path so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path == path).cloned().collect()
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut socket: TcpStream,
    reply: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    kept: &Mutex<Vec<Asked>>,
) {
    let mut bytes = Vec::new();
    for before in 0.. {
        let Some((path, body)) = read(&mut socket, &mut bytes).await else { return };
        let asked = Asked { path, body, before };
        kept.lock().unwrap().push(asked.clone());
        match reply(&asked) {
            Reply::Send(answer) => {
                if socket.write_all(&answer).await.is_err() {
                    return;
                }
            }
            Reply::Slowly(pieces) => {
                for (pause, piece) in pieces {
                    SystemClock.sleep(pause).await;
                    if socket.write_all(&piece).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Reply::Close => return,
        }
    }
}

async fn read(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Value)> {
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let end = head_end + length.unwrap_or(0);
    while bytes.len() < end {
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[head_end..end]).unwrap_or_default();
    bytes.drain(..end);
    Some((head.split(' ').nth(1)?.to_owned(), body))
}
