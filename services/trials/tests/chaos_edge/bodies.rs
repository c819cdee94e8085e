//! Bodies beyond the limit, and clients that close half of their connection.

use std::time::Duration;

use anyhow::ensure;
use t4t_clock::{SystemClock, timeout};
use t4t_testkit::chaos::Row;
use t4t_testkit::processes::{Gateway, RoleSpec, World, WorldConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::raw::{address, exchange, listen};
use super::{ROW, T4T};

/// Far beyond what the gateway takes.
const LIMIT: usize = 32 << 20;

/// A body that is taken, one byte beyond four million: a little less than the 4 MiB that are promised.
const TAKEN: usize = 4_000_001;

const GET: &str = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn with_length(body: &str) -> String {
    let length = body.len();
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn in_chunks(body: &str) -> String {
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[actix_web::test]
async fn long_bodies_are_refused_as_openai_does_and_the_connection_stays_right() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway())?;
    let address = address(&gateway.url().await?)?;
    // Requests in the body would be answered if its end were mistaken.
    let filler = |length: usize| GET.repeat(length / GET.len() + 1)[..length].to_owned();
    // Chunks tell where their body ends, so the connection can go on after it.
    for (frame, expected) in [(with_length as fn(&str) -> String, &[413][..]), (in_chunks, &[413, 200])] {
        let heard = exchange(address, format!("{}{GET}", frame(&filler(LIMIT + 1))).as_bytes()).await?;
        ensure!(heard.statuses() == expected, "{:?} and not {expected:?}", heard.statuses());
        ensure!(heard.text.contains(r#""code":"request_too_large""#), "{}", heard.text);
        ensure!(heard.closed, "it is not closed");
        let heard = exchange(address, format!("{}{GET}", frame(&filler(TAKEN))).as_bytes()).await?;
        ensure!(heard.statuses() == [400, 200], "{:?}", heard.statuses());
        ensure!(heard.text.contains(r#""type":"invalid_request_error""#), "{}", heard.text);
    }
    half_closed(address).await?;
    let found = "413 as OpenAI has it, 0 answers to what was in the body; half-closed connections ended";
    Row::new(ROW, "32 MiB + 1, 4 MB + 1, with length and in chunks; half-closed", 8, found).report()
}

/// A client that closes its side has gone: its connection ends at once, whatever it asked.
async fn half_closed(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let whole = with_length("{}");
    for bytes in ["", "GET /v1/mo", "GET /health HTTP/1.1\r\nhost: x\r\n\r\n", &whole[..whole.len() - 1]] {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes.as_bytes()).await?;
        stream.shutdown().await?;
        let heard = timeout(&SystemClock, Duration::from_secs(20), listen(&mut stream)).await;
        ensure!(heard.is_ok_and(|heard| heard.closed), "after {bytes:?} it stays open");
    }
    Ok(())
}
