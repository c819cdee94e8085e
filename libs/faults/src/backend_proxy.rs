//! An inference backend that goes wrong now and then: a proxy before any server with the OpenAI API.

mod http;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::plan::Plan;
use crate::{StartError, client, install_crypto, local};

/// How long the backend may take until it takes a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackendFault {
    /// 500, and the backend is not asked.
    ServerError,
    /// 429, and the backend is not asked.
    RateLimited,
    /// No answer, and the backend is not asked.
    Hang,
    /// The answer ends after so many bytes of its body, or of as many as the dice say if that is 0.
    Cut {
        /// Bytes.
        after: u64,
    },
    /// Each piece of the answer comes late.
    Slow {
        /// By so many milliseconds.
        by_ms: u64,
    },
}

impl BackendFault {
    /// What it is, in plain words: `500`, `no answer`.
    pub fn words(self) -> &'static str {
        match self {
            Self::ServerError => "500",
            Self::RateLimited => "429",
            Self::Hang => "no answer",
            Self::Cut { .. } => "answer cut off",
            Self::Slow { .. } => "slow tokens",
        }
    }
}

#[derive(Debug)]
struct Shared {
    plan: Plan<BackendFault>,
    upstream: String,
    http: reqwest::Client,
}

/// A backend on a port of its own; it ends when dropped.
#[derive(Debug)]
pub struct BackendProxy {
    shared: Arc<Shared>,
    url: Url,
    accepting: JoinHandle<()>,
}

impl BackendProxy {
    /// Starts a backend before another one; nothing goes wrong yet. Paths are passed on as they come.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: &Url, seed: u64) -> Result<Self, StartError> {
        install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut url = local(listener.local_addr()?);
        url.set_path(upstream.path());
        let http = client(reqwest::Client::builder().connect_timeout(CONNECT_LIMIT))?;
        let upstream = upstream.origin().ascii_serialization();
        let shared = Arc::new(Shared { plan: Plan::new(seed), upstream, http });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, url, accepting })
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// From now on these happen to requests for answers, each with its probability from 0 to 1; one at most to a
    /// request.
    pub fn mix(&self, faults: &[(BackendFault, f64)]) {
        self.shared.plan.set(faults.to_vec());
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        self.shared.plan.set(Vec::new());
    }

    /// From now on this hears of every fault, at once and in the way of the request: it must be quick.
    pub fn on_fault(&self, tell: impl Fn(BackendFault) + Send + Sync + 'static) {
        self.shared.plan.tell(Arc::new(tell));
    }

    /// How often something went wrong.
    pub fn injected(&self) -> u64 {
        self.shared.plan.injected()
    }

    /// How often each fault happened that did.
    pub fn counts(&self) -> BTreeMap<BackendFault, u64> {
        self.shared.plan.counts()
    }
}

impl Drop for BackendProxy {
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
