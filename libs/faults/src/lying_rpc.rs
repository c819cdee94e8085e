//! A JSON-RPC endpoint that lies: it asks one that works, and changes the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use crate::http::read;
use crate::{StartError, local};

/// How long the endpoint that works may take.
const UPSTREAM_LIMIT: Duration = Duration::from_secs(60);

/// Changes the answer to a question.
type Lie = Arc<dyn Fn(&Value, &mut Value) + Send + Sync>;

#[derive(Clone, Default)]
struct Manner {
    lie: Option<Lie>,
    /// Questions whose answers keep what they say to themselves: the node never sees them.
    withheld: Option<&'static str>,
    /// The HTTP status of each reply.
    status: Option<u16>,
}

#[derive(Default)]
struct State {
    manner: Manner,
    asked: BTreeMap<String, u64>,
}

struct Shared {
    state: Mutex<State>,
    upstream: Url,
    http: reqwest::Client,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint, honest until it is told otherwise; it ends when dropped.
pub struct LyingRpc {
    shared: Arc<Shared>,
    url: Url,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for LyingRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LyingRpc").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl LyingRpc {
    /// Starts an endpoint before another one.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: Url) -> Result<Self, StartError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = local(listener.local_addr()?);
        let http = t4t_outbound::direct().timeout(UPSTREAM_LIMIT).build()?;
        let shared = Arc::new(Shared { state: Mutex::default(), upstream, http });
        let serving = Arc::clone(&shared);
        let accepting =
            tokio::spawn(crate::accept(listener, move |socket| serve(socket, Arc::clone(&serving))));
        Ok(Self { shared, url, accepting })
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// From now on this changes each answer, which it is handed with its question.
    pub fn lie(&self, lie: impl Fn(&Value, &mut Value) + Send + Sync + 'static) {
        self.shared.state().manner = Manner { lie: Some(Arc::new(lie)), ..Manner::default() };
    }

    /// From now on the node never sees questions of this method, whatever is answered to them.
    pub fn withhold(&self, method: &'static str) {
        self.shared.state().manner.withheld = Some(method);
    }

    /// From now on `method`, or everything for `*`, is answered with this error.
    pub fn refuse(&self, method: &'static str, code: i64, message: &'static str) {
        self.refuse_with(method, 200, code, message);
    }

    /// The same with another HTTP status.
    pub fn refuse_with(&self, method: &'static str, status: u16, code: i64, message: &'static str) {
        self.lie(move |question, answer| {
            if method == "*" || question["method"] == method {
                *answer = json!({ "jsonrpc": "2.0", "id": question["id"],
                                  "error": { "code": code, "message": message } });
            }
        });
        let mut state = self.shared.state();
        state.manner.withheld = Some(method);
        state.manner.status = Some(status).filter(|status| *status != 200);
    }

    /// It is honest from now on.
    pub fn be_honest(&self) {
        self.shared.state().manner = Manner::default();
    }

    /// How often a method was asked for.
    pub fn asked(&self, method: &str) -> u64 {
        self.shared.state().asked.get(method).copied().unwrap_or(0)
    }

    /// Questions of all kinds.
    pub fn asked_in_all(&self) -> u64 {
        self.shared.state().asked.values().sum()
    }
}

impl Drop for LyingRpc {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let _set = socket.set_nodelay(true);
    while let Some(request) = read(&mut socket).await {
        let (status, body) = answer(&shared, &request.body).await.unwrap_or((502, Vec::new()));
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Proxied\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        if socket.write_all(&[head.into_bytes(), body].concat()).await.is_err() {
            return;
        }
    }
}

async fn answer(shared: &Shared, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let questions = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
    let methods: Vec<String> =
        questions.iter().filter_map(|question| Some(question["method"].as_str()?.to_owned())).collect();
    let manner = {
        let mut state = shared.state();
        methods.iter().for_each(|method| *state.asked.entry(method.clone()).or_default() += 1);
        state.manner.clone()
    };
    let is_withheld = |question: &Value| {
        manner.withheld.is_some_and(|withheld| withheld == "*" || question["method"] == withheld)
    };
    let passed: Vec<&Value> = questions.iter().filter(|question| !is_withheld(question)).collect();
    let mut honest: Vec<Value> = match passed.is_empty() {
        true => Vec::new(),
        false => {
            let sent = shared.http.post(shared.upstream.clone()).json(&passed).send().await.ok()?;
            serde_json::from_slice(&sent.bytes().await.ok()?).ok()?
        }
    };
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        let place = honest.iter().position(|answer| answer["id"] == question["id"]);
        let mut answer = place
            .map_or_else(|| json!({ "jsonrpc": "2.0", "id": question["id"] }), |at| honest.swap_remove(at));
        if let Some(lie) = &manner.lie {
            lie(question, &mut answer);
        }
        answers.push(answer);
    }
    let told = match request.is_array() {
        true => Value::Array(answers),
        false => answers.pop()?,
    };
    Some((manner.status.unwrap_or(200), told.to_string().into_bytes()))
}
