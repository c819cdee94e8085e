//! HTTP by hand, because a reset connection and half an answer are not HTTP.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{RpcFault, Shared};
use crate::http::{gone, read};

/// How the answer is sent.
enum Reply {
    Json(Vec<u8>),
    Status(u16),
    Half(Vec<u8>),
    Nothing,
    Reset,
}

/// Answers requests until the connection ends.
pub(super) async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let _set = socket.set_nodelay(true);
    while let Some(request) = read(&mut socket).await {
        let reply = answer(&shared, &request.body).await;
        let (status, body, length) = match reply {
            Reply::Json(body) => (200, body.clone(), body.len()),
            Reply::Half(body) => (200, body[..body.len() / 2].to_vec(), body.len()),
            Reply::Status(status) => (status, Vec::new(), 0),
            Reply::Nothing => {
                gone(&mut socket).await;
                return;
            }
            Reply::Reset => {
                let _set = socket.set_zero_linger();
                return;
            }
        };
        let head = format!(
            "HTTP/1.1 {status} Proxied\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let sent = socket.write_all(&[head.into_bytes(), body.clone()].concat()).await;
        if sent.is_err() || body.len() < length {
            return;
        }
    }
}

async fn answer(shared: &Shared, body: &[u8]) -> Reply {
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return Reply::Status(400) };
    let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
    let methods: Vec<&str> = calls.iter().filter_map(|call| call["method"].as_str()).collect();
    let Some(fault) = shared.fault_for(&methods) else {
        return forward(shared, &request).await.map_or(Reply::Status(502), Reply::Json);
    };
    match fault {
        RpcFault::RateLimited => Reply::Status(429),
        RpcFault::ServerError => Reply::Status(500),
        RpcFault::Hang => Reply::Nothing,
        RpcFault::Truncated => forward(shared, &request).await.map_or(Reply::Status(502), Reply::Half),
        RpcFault::Reset => {
            if shared.plan.happens(0.5) {
                let _done = forward(shared, &request).await;
            }
            Reply::Reset
        }
        // Half of the refusals are lies: the node has the transaction.
        RpcFault::NonceTooLow | RpcFault::Underpriced if shared.plan.happens(0.5) => {
            let answers = calls.iter().map(|call| json!({ "jsonrpc": "2.0", "id": call["id"] }));
            changed(fault, &calls, answers.collect(), 0, request.is_array())
        }
        _ => distorted(shared, fault, &calls, request.is_array()).await,
    }
}

async fn distorted(shared: &Shared, fault: RpcFault, calls: &[Value], is_batch: bool) -> Reply {
    let head = match fault.behind() {
        0 => 0,
        behind => newest(shared).await.saturating_sub(behind),
    };
    let mut questions = calls.to_vec();
    if fault.behind() > 0 {
        questions.iter_mut().for_each(|question| fault.ask(question, head));
    }
    let Some(bytes) = forward(shared, &Value::Array(questions)).await else { return Reply::Status(502) };
    let answers: Vec<Value> = serde_json::from_slice(&bytes).unwrap_or_default();
    changed(fault, calls, answers, head, is_batch)
}

fn changed(fault: RpcFault, calls: &[Value], mut answers: Vec<Value>, head: u64, is_batch: bool) -> Reply {
    for answer in &mut answers {
        let asked = calls.iter().find(|call| call["id"] == answer["id"]);
        let method = asked.and_then(|call| call["method"].as_str()).unwrap_or_default();
        fault.answer(method, answer, head);
    }
    let body = match (is_batch, answers.pop()) {
        (false, Some(only)) => only,
        (_, last) => Value::Array(answers.into_iter().chain(last).collect()),
    };
    Reply::Json(body.to_string().into_bytes())
}

async fn newest(shared: &Shared) -> u64 {
    let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
    let Some(bytes) = forward(shared, &question).await else { return 0 };
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let digits = answer["result"].as_str().and_then(|text| text.strip_prefix("0x")).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or(0)
}

async fn forward(shared: &Shared, request: &Value) -> Option<Vec<u8>> {
    let sent = shared.http.post(shared.upstream.clone()).json(request).send().await.ok()?;
    Some(sent.bytes().await.ok()?.to_vec())
}
