//! HTTP by hand: bytes to the gateway's port, and what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use t4t_clock::{SystemClock, timeout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use url::Url;

/// After so much silence nothing more is expected; connections to be closed linger for 5 s.
const SILENCE: Duration = Duration::from_secs(8);

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Everything.
    pub(crate) text: String,
    /// Whether the gateway closed the connection.
    pub(crate) closed: bool,
}

impl Heard {
    /// The statuses of the answers, in their order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let answers = self.text.split("HTTP/1.1 ").skip(1);
        answers.filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
    }
}

/// Where the gateway listens.
pub(crate) fn address(gateway: &Url) -> anyhow::Result<SocketAddr> {
    gateway.socket_addrs(|| None)?.first().copied().context("the gateway has no address")
}

/// A connection whose system takes little ahead of its reader.
pub(crate) async fn narrow(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(2048)?;
    socket.connect(address).await
}

/// Sends these bytes and listens until nothing more comes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<Heard> {
    let mut stream = TcpStream::connect(address).await?;
    // A server that has heard enough may close before all is sent.
    let _cut_short = stream.write_all(bytes).await;
    Ok(listen(&mut stream).await)
}

/// Listens until nothing more comes.
pub(crate) async fn listen(stream: &mut TcpStream) -> Heard {
    let (mut heard, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    let closed = loop {
        match timeout(&SystemClock, SILENCE, stream.read(&mut piece)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(read)) => heard.extend_from_slice(&piece[..read]),
            Err(_) => break false,
        }
    };
    Heard { text: String::from_utf8_lossy(&heard).into_owned(), closed }
}

/// A chat request with this text, as an app sends it.
pub(crate) fn chat(text: &str, stream: bool) -> String {
    let body = serde_json::json!({
        "model": t4t_testkit::processes::ECHO, "max_tokens": 4000, "stream": stream,
        "messages": [{ "role": "user", "content": text }],
    })
    .to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
