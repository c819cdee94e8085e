//! An endpoint that answers as a closure says, after the faults that are queued.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use t4t_chain::{Rpc, RpcConfig};
use t4t_clock::{SharedClock, SystemClock};
use url::Url;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Status(u16),
    RateLimited { retry_after: Option<&'static str> },
    RateLimitedInJson,
    Hang,
    Truncated,
    WrongId,
    Html,
    BatchRefused,
    Huge(usize),
    Redirect,
}

/// The result, or the JSON-RPC error, of a method with its parameters.
pub(crate) type Answer = dyn Fn(&str, &Value) -> Result<Value, Value> + Send + Sync;

struct State {
    faults: Mutex<VecDeque<Fault>>,
    always: Mutex<Option<Fault>>,
    largest_batch: AtomicUsize,
    requests: Mutex<Vec<Vec<String>>>,
    answer: Box<Answer>,
}

pub(crate) struct FaultServer {
    pub(crate) url: Url,
    state: Data<State>,
    handle: ServerHandle,
}

impl FaultServer {
    pub(crate) fn start(
        answer: impl Fn(&str, &Value) -> Result<Value, Value> + Send + Sync + 'static,
    ) -> Self {
        let state = Data::new(State {
            faults: Mutex::default(),
            always: Mutex::default(),
            largest_batch: AtomicUsize::new(usize::MAX),
            requests: Mutex::default(),
            answer: Box::new(answer),
        });
        let shared = state.clone();
        let app = move || App::new().app_data(shared.clone()).default_service(web::post().to(answer_one));
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]).parse().unwrap();
        let running = server.run();
        let handle = running.handle();
        actix_web::rt::spawn(running);
        Self { url, state, handle }
    }

    /// An endpoint of chain 100 that knows nothing else.
    pub(crate) fn of_chain_100() -> Self {
        Self::start(|method, _| match method {
            "eth_chainId" => Ok(json!("0x64")),
            _ => Err(json!({ "code": -32601, "message": "the method does not exist" })),
        })
    }

    pub(crate) fn fails_next(&self, fault: Fault) {
        self.state.faults.lock().unwrap().push_back(fault);
    }

    pub(crate) fn fails_always(&self, fault: Fault) {
        *self.state.always.lock().unwrap() = Some(fault);
    }

    pub(crate) fn recovers(&self) {
        *self.state.always.lock().unwrap() = None;
    }

    pub(crate) fn refuses_batches_above(&self, size: usize) {
        self.state.largest_batch.store(size, Ordering::SeqCst);
    }

    /// The methods of each HTTP request so far.
    pub(crate) fn requests(&self) -> Vec<Vec<String>> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn hits(&self) -> usize {
        self.requests().len()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn answer_one(state: Data<State>, body: Bytes) -> HttpResponse {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
    let methods = calls.iter().map(|call| call["method"].as_str().unwrap().to_owned()).collect();
    state.requests.lock().unwrap().push(methods);

    let queued = state.faults.lock().unwrap().pop_front();
    let mut fault = queued.or_else(|| state.always.lock().unwrap().clone());
    if calls.len() > state.largest_batch.load(Ordering::SeqCst) {
        fault = Some(Fault::BatchRefused);
    }
    let answer = |call: &Value| {
        let id = if matches!(fault, Some(Fault::WrongId)) { json!(987_654_321) } else { call["id"].clone() };
        match (state.answer)(call["method"].as_str().unwrap(), &call["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        }
    };
    // Answers of a batch may come in any order.
    let answers: Value =
        if request.is_array() { calls.iter().rev().map(answer).collect() } else { answer(&calls[0]) };
    match fault {
        None | Some(Fault::WrongId) => HttpResponse::Ok().json(answers),
        Some(fault) => faulty(&fault, &answers).await,
    }
}

async fn faulty(fault: &Fault, answers: &Value) -> HttpResponse {
    match *fault {
        Fault::Status(status) => HttpResponse::build(status.try_into().unwrap()).body("upstream error"),
        Fault::RateLimited { retry_after } => {
            let mut response = HttpResponse::TooManyRequests();
            if let Some(seconds) = retry_after {
                response.insert_header(("retry-after", seconds));
            }
            response.finish()
        }
        Fault::RateLimitedInJson => {
            HttpResponse::Ok().json(json!({ "error": { "code": 429, "message": "Too Many Requests" } }))
        }
        Fault::Hang => std::future::pending().await,
        Fault::Truncated => {
            let text = answers.to_string();
            HttpResponse::Ok().body(text[..text.len() / 2].to_owned())
        }
        Fault::Html => HttpResponse::Ok().content_type("text/html").body("<html>502 Bad Gateway</html>"),
        Fault::BatchRefused => HttpResponse::Ok()
            .json(json!({ "id": null, "error": { "code": -32600, "message": "no batches here" } })),
        Fault::Huge(bytes) => HttpResponse::Ok().body(vec![b' '; bytes]),
        Fault::Redirect => HttpResponse::Found().insert_header(("location", "http://127.0.0.1:1/")).finish(),
        Fault::WrongId => HttpResponse::Ok().json(answers),
    }
}

/// Limits that make a test short.
pub(crate) fn config(servers: &[&FaultServer]) -> RpcConfig {
    let mut config = RpcConfig::new(servers.iter().map(|server| server.url.clone()));
    config.request_timeout = Duration::from_millis(300);
    config.backoff = Duration::from_millis(1);
    config
}

pub(crate) fn rpc(servers: &[&FaultServer]) -> Rpc {
    Rpc::new(config(servers), SystemClock::shared()).unwrap()
}

pub(crate) fn rpc_with(config: RpcConfig, clock: SharedClock) -> Rpc {
    Rpc::new(config, clock).unwrap()
}

/// Waits until `holds`, for at most ten seconds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let clock: Arc<SystemClock> = Arc::new(SystemClock);
    let waiting = async {
        while !holds() {
            t4t_clock::Clock::sleep(&*clock, Duration::from_millis(2)).await;
        }
    };
    t4t_clock::timeout(&*clock, Duration::from_secs(10), waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}
