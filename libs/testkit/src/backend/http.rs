//! HTTP by hand: reads a request, writes an answer piece by piece, and breaks off where the script says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use t4t_clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{self, Answer, Ending};
use super::{Listing, Recorded, Shared};

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
    let _gone = write(&mut socket, answer, Duration::ZERO).await;
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
    let (behaviour, delay) = {
        let mut script = shared.script();
        script.last = Some(Recorded { head: request.head, body: body.clone() });
        (script.behaviour.clone(), script.token_delay)
    };
    shared.calls.fetch_add(1, Ordering::SeqCst);
    shared.open.fetch_add(1, Ordering::SeqCst);
    let _open = Open(shared);
    if write(&mut socket, answer::to(&body, &behaviour), delay).await.is_err() {
        shared.cancelled.fetch_add(1, Ordering::SeqCst);
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

async fn write(socket: &mut TcpStream, answer: Answer, delay: Duration) -> Result<(), Gone> {
    let mut left = match answer.ending {
        Ending::ResetAfter(bytes) => bytes,
        _ => usize::MAX,
    };
    let head = answer.head.into_iter().map(|head| (head.into_bytes(), Duration::ZERO));
    let pieces = answer.pieces.map(|piece| (chunked(&piece), delay));
    for (mut piece, delay) in head.chain(pieces) {
        if !delay.is_zero() {
            tokio::select! {
                () = SystemClock.sleep(delay) => {}
                () = gone(socket) => return Err(Gone),
            }
        }
        piece.truncate(left);
        left -= piece.len();
        socket.write_all(&piece).await.map_err(|_| Gone)?;
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
