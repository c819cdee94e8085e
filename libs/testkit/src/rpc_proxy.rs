//! A JSON-RPC endpoint that goes wrong now and then, in front of one that works.

mod faults;
mod http;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

pub use self::faults::RpcFault;

/// What goes wrong, how often, and the dice.
#[derive(Debug)]
struct State {
    fault: Option<RpcFault>,
    rate: f64,
    dice: u64,
    injected: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    upstream: Url,
    http: reqwest::Client,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number from 0 to below 1; the same seed gives the same numbers.
    fn throw(&self) -> f64 {
        let mut state = self.state();
        // SplitMix64.
        state.dice = state.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The fault that happens to a request with these methods, if one does.
    fn fault_for(&self, methods: &[&str]) -> Option<RpcFault> {
        let (fault, rate) = {
            let state = self.state();
            (state.fault?, state.rate)
        };
        if !methods.iter().any(|method| fault.concerns(method)) || self.throw() >= rate {
            return None;
        }
        self.state().injected += 1;
        Some(fault)
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
    pub async fn start(upstream: Url, seed: u64) -> anyhow::Result<Self> {
        // An error here means that a provider is installed already.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let state = Mutex::new(State { fault: None, rate: 0.0, dice: seed, injected: 0 });
        let shared = Arc::new(Shared { state, upstream, http: reqwest::Client::builder().build()? });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, url, accepting })
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// From now on this happens to requests it can happen to, with this probability from 0 to 1.
    pub fn set(&self, fault: RpcFault, rate: f64) {
        let mut state = self.shared.state();
        (state.fault, state.rate) = (Some(fault), rate);
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        self.shared.state().fault = None;
    }

    /// How often something went wrong.
    pub fn injected(&self) -> u64 {
        self.shared.state().injected
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
