//! A way to the chain that counts what is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::Value;
use url::Url;

/// The largest body that is passed on.
const MAX_BYTES: usize = 16 << 20;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// HTTP requests.
    pub(crate) requests: u64,
    /// JSON-RPC calls by method; each call of a batch counts.
    pub(crate) methods: BTreeMap<String, u64>,
}

impl Counts {
    /// JSON-RPC calls altogether.
    pub(crate) fn calls(&self) -> u64 {
        self.methods.values().sum()
    }

    /// What was asked since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = |method: &String| earlier.methods.get(method).copied().unwrap_or_default();
        let methods = self.methods.iter().map(|(method, count)| (method.clone(), count - before(method)));
        Self {
            requests: self.requests - earlier.requests,
            methods: methods.filter(|(_, count)| *count > 0).collect(),
        }
    }

    fn count(&mut self, body: &[u8]) {
        self.requests += 1;
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let calls = body.as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
        for call in calls {
            *self.methods.entry(named(call)).or_default() += 1;
        }
    }
}

/// The method; of a view function also the selector, which says which one it is.
fn named(call: &Value) -> String {
    let method = call["method"].as_str().unwrap_or("garbage");
    let input = call["params"][0]["data"].as_str().or(call["params"][0]["input"].as_str());
    match input.and_then(|input| input.get(..10)) {
        Some(selector) if method == "eth_call" => format!("{method} {selector}"),
        _ => method.to_owned(),
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<String> =
            self.methods.iter().map(|(method, count)| format!("{method} {count}")).collect();
        write!(f, "{} calls in {} HTTP requests ({})", self.calls(), self.requests, methods.join(", "))
    }
}

struct Way {
    to: Url,
    http: reqwest::Client,
    counts: Mutex<Counts>,
}

impl Way {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy on a port of its own.
pub(crate) struct Counting {
    url: String,
    way: Arc<Way>,
    server: ServerHandle,
}

impl Counting {
    /// Starts a proxy to `to`.
    pub(crate) fn start(to: Url) -> anyhow::Result<Self> {
        let http = t4t_outbound::direct().build()?;
        let way = Arc::new(Way { to, http, counts: Mutex::default() });
        let data = web::Data::from(Arc::clone(&way));
        let app = move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(MAX_BYTES))
                .default_service(web::to(pass_on))
        };
        let server =
            HttpServer::new(app).workers(1).tcp_nodelay(true).disable_signals().bind(("127.0.0.1", 0))?;
        let url = server.addrs().first().map(|address| format!("http://{address}")).unwrap_or_default();
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { url, way, server: handle })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far.
    pub(crate) fn counts(&self) -> Counts {
        self.way.counts().clone()
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn pass_on(way: web::Data<Way>, body: web::Bytes) -> HttpResponse {
    way.counts().count(&body);
    let request = way.http.post(way.to.clone()).header("content-type", "application/json").body(body);
    let answer = async { request.send().await?.bytes().await };
    match answer.await {
        Ok(bytes) => HttpResponse::Ok().content_type("application/json").body(bytes),
        Err(error) => HttpResponse::BadGateway().body(error.to_string()),
    }
}
