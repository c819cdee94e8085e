//! HTTP by hand: reads a request, writes an answer piece by piece, and breaks off where the script says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use t4t_clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{Answer, Ending};
use super::{Listing, Recorded, Shared};
use super::{echo, script};

/// The longest head taken, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

struct Request {
    head: String,
    body: Vec<u8>,
}

/// The caller closed the connection.
struct Gone;

/// Answers one request and closes the connection.
pub(super) async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let Some(request) = read(&mut socket).await else { return };
    let target = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
    let key = shared.script().key.clone();
    let answer = match target.as_str() {
        _ if key.is_some_and(|key| !request.head.contains(&format!("Bearer {key}\r\n"))) => {
            Answer::json(401, &json!({"error": {"message": "wrong key"}}))
        }
        "/v1/models" => list(&shared),
        "/v1/chat/completions" => return chat(socket, request, &shared).await,
        _ => Answer::text(404, "no such route"),
    };
    let _gone = write(&mut socket, answer, Duration::ZERO, |_| {}).await;
}

fn list(shared: &Shared) -> Answer {
    match shared.script().listing.clone() {
        Listing::Models(models) => Answer::json(200, &json!({"object": "list", "data": models})),
        Listing::Refuse(status) => Answer::text(status, "no list"),
        Listing::Hang => Answer { head: None, pieces: Box::new(std::iter::empty()), ending: Ending::Hang },
    }
}

async fn chat(mut socket: TcpStream, request: Request, shared: &Shared) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let sent = Arc::new(AtomicU64::new(0));
    let (behaviour, delay, is_whole) = {
        let mut script = shared.script();
        script.last = Some(Recorded { head: request.head, body: body.clone(), sent: Arc::clone(&sent) });
        (script.behaviour.clone(), script.token_delay, script.is_whole)
    };
    shared.calls.fetch_add(1, Ordering::SeqCst);
    let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
    shared.peak.fetch_max(open, Ordering::SeqCst);
    let _open = Open(shared);
    let answered = async {
        released(&mut socket, shared).await?;
        let count = |piece: &[u8]| {
            sent.fetch_add(echo::tokens_in(piece), Ordering::SeqCst);
        };
        write(&mut socket, script::to(&body, &behaviour, is_whole), delay, count).await
    };
    if answered.await.is_err() {
        shared.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits while answers are held back.
async fn released(socket: &mut TcpStream, shared: &Shared) -> Result<(), Gone> {
    let mut held = shared.held.subscribe();
    tokio::select! {
        biased;
        _ = held.wait_for(|held| !held) => Ok(()),
        () = gone(socket) => Err(Gone),
    }
}

/// A request that is being answered.
struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn read(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > MAX_HEAD_BYTES || socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    while bytes.len() < head_end + length.unwrap_or(0) {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { head, body: bytes.split_off(head_end) })
}

/// Writes an answer; `written` is told each piece that left whole.
async fn write(
    socket: &mut TcpStream,
    answer: Answer,
    delay: Duration,
    written: impl Fn(&[u8]),
) -> Result<(), Gone> {
    let mut left = match answer.ending {
        Ending::ResetAfter(bytes) => bytes,
        _ => usize::MAX,
    };
    let head = answer.head.into_iter().map(|head| (head.into_bytes(), Vec::new(), Duration::ZERO));
    let pieces = answer.pieces.map(|piece| (chunked(&piece), piece, delay));
    for (mut bytes, piece, delay) in head.chain(pieces) {
        if !delay.is_zero() {
            tokio::select! {
                () = SystemClock.sleep(delay) => {}
                () = gone(socket) => return Err(Gone),
            }
        }
        let is_cut = bytes.len() > left;
        bytes.truncate(left);
        left -= bytes.len();
        // Told before: it may arrive before this is on again.
        if !is_cut {
            written(&piece);
        }
        socket.write_all(&bytes).await.map_err(|_| Gone)?;
        if left == 0 {
            // Without it the caller could lose what it has not read yet.
            SystemClock.sleep(Duration::from_millis(20)).await;
            let _set = socket.set_zero_linger();
            return Ok(());
        }
    }
    match answer.ending {
        Ending::Close => socket.write_all(b"0\r\n\r\n").await.map_err(|_| Gone),
        Ending::Hang => {
            gone(socket).await;
            Err(Gone)
        }
        Ending::Cut | Ending::ResetAfter(_) => Ok(()),
    }
}

fn chunked(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

/// Returns once the caller has closed the connection.
async fn gone(socket: &mut TcpStream) {
    let mut ignored = [0; 1024];
    while matches!(socket.read(&mut ignored).await, Ok(read) if read > 0) {}
}
