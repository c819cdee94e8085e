//! A JSON-RPC endpoint that goes wrong now and then, in front of one that works.

mod faults;
mod http;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

pub use self::faults::RpcFault;
use crate::plan::Plan;
use crate::{StartError, client, install_crypto, local};

/// How long the endpoint that works may take.
const UPSTREAM_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Shared {
    plan: Plan<RpcFault>,
    upstream: Url,
    http: reqwest::Client,
}

impl Shared {
    /// The fault that happens to a request with these methods, if one does.
    fn fault_for(&self, methods: &[&str]) -> Option<RpcFault> {
        self.plan.fault(|fault| methods.iter().any(|method| fault.concerns(method)))
    }
}

/// An endpoint on a port of its own; it ends when dropped.
#[derive(Debug)]
pub struct RpcProxy {
    shared: Arc<Shared>,
    url: Url,
    accepting: JoinHandle<()>,
}

impl RpcProxy {
    /// Starts an endpoint before another one; nothing goes wrong yet.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: Url, seed: u64) -> Result<Self, StartError> {
        install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = local(listener.local_addr()?);
        let http = client(reqwest::Client::builder().timeout(UPSTREAM_LIMIT))?;
        let shared = Arc::new(Shared { plan: Plan::new(seed), upstream, http });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, url, accepting })
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// From now on this alone happens to requests it can happen to, with this probability from 0 to 1.
    pub fn set(&self, fault: RpcFault, rate: f64) {
        self.mix(&[(fault, rate)]);
    }

    /// From now on these happen to requests they can happen to, each with its probability; one at most to a request.
    pub fn mix(&self, faults: &[(RpcFault, f64)]) {
        self.shared.plan.set(faults.to_vec());
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        self.shared.plan.set(Vec::new());
    }

    /// From now on this hears of every fault, at once and in the way of the request: it must be quick.
    pub fn on_fault(&self, tell: impl Fn(RpcFault) + Send + Sync + 'static) {
        self.shared.plan.tell(Arc::new(tell));
    }

    /// How often something went wrong.
    pub fn injected(&self) -> u64 {
        self.shared.plan.injected()
    }

    /// How often each fault happened that did.
    pub fn counts(&self) -> BTreeMap<RpcFault, u64> {
        self.shared.plan.counts()
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(http::serve(socket, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}
