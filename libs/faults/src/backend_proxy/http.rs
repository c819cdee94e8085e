//! The way of a request to the backend and of its answer back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Response;
use t4t_clock::{Clock, SystemClock};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BackendFault, Shared};
use crate::http::{Request, gone, read};

/// Headers that are passed on, both ways.
const PASSED_ON: [&str; 6] =
    ["accept", "authorization", "content-type", "retry-after", "x-api-key", "openai-organization"];

/// Bytes after which the dice cut an answer at the latest.
const LONGEST_CUT: u64 = 2000;

/// Answers requests until the connection ends.
pub(super) async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let _set = socket.set_nodelay(true);
    while let Some(request) = read(&mut socket).await {
        let fault = shared.plan.fault(|_| request.method == "POST");
        let (mut incoming, mut outgoing) = socket.split();
        let is_over = tokio::select! {
            // The backend is told to stop when nobody waits for its answer any more.
            () = gone(&mut incoming) => return,
            is_over = answer(&shared, &request, fault, &mut outgoing) => is_over,
        };
        if is_over.unwrap_or(true) {
            return;
        }
    }
}

/// Whether the connection ends with this answer.
async fn answer(
    shared: &Shared,
    request: &Request,
    fault: Option<BackendFault>,
    out: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<bool> {
    let (mut limit, mut pause) = (u64::MAX, Duration::ZERO);
    match fault {
        Some(BackendFault::ServerError) => return refuse(out, 500).await,
        Some(BackendFault::RateLimited) => return refuse(out, 429).await,
        Some(BackendFault::Hang) => return std::future::pending().await,
        Some(BackendFault::Cut { after: 0 }) => limit = shared.plan.between(1, LONGEST_CUT),
        Some(BackendFault::Cut { after }) => limit = after,
        Some(BackendFault::Slow { by_ms }) => pause = Duration::from_millis(by_ms),
        None => {}
    }
    let Ok(response) = ask(shared, request).await else { return refuse(out, 502).await };
    pass_on(response, limit, pause, out).await
}

async fn refuse(out: &mut (impl AsyncWrite + Unpin), status: u16) -> std::io::Result<bool> {
    let body = format!(r#"{{"error":{{"message":"{status} on purpose","type":"server_error"}}}}"#);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Proxied\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    out.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(false)
}

async fn ask(shared: &Shared, request: &Request) -> Result<Response, reqwest::Error> {
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap_or(reqwest::Method::GET);
    let mut asking = shared.http.request(method, format!("{}{}", shared.upstream, request.path));
    for (name, value) in request.headers.iter().filter(|(name, _)| PASSED_ON.contains(&name.as_str())) {
        asking = asking.header(name, value);
    }
    asking.body(request.body.clone()).send().await
}

async fn pass_on(
    response: Response,
    mut limit: u64,
    pause: Duration,
    out: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<bool> {
    let mut head =
        format!("HTTP/1.1 {} Proxied\r\ntransfer-encoding: chunked\r\n", response.status().as_u16());
    for name in PASSED_ON {
        if let Some(value) = response.headers().get(name).and_then(|value| value.to_str().ok()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    out.write_all(format!("{head}\r\n").as_bytes()).await?;
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Ok(true) };
        if !pause.is_zero() {
            SystemClock.sleep(pause).await;
        }
        let taken = usize::try_from(limit).unwrap_or(usize::MAX).min(piece.len());
        limit -= taken as u64;
        if taken > 0 {
            let framed = [format!("{taken:x}\r\n").as_bytes(), &piece[..taken], b"\r\n"].concat();
            out.write_all(&framed).await?;
        }
        if limit == 0 {
            return Ok(true);
        }
    }
    out.write_all(b"0\r\n\r\n").await?;
    Ok(false)
}
