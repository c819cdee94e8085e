//! An inference backend that goes wrong now and then: a proxy before any server with the OpenAI API.

mod http;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use url::Url;

use crate::plan::Plan;
use crate::{Proxy, StartError, local};

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
    plan: Arc<Plan<BackendFault>>,
    upstream: String,
    http: reqwest::Client,
}

/// A backend.
pub type BackendProxy = Proxy<BackendFault>;

impl BackendProxy {
    /// Starts a backend before another one; nothing goes wrong yet. Paths are passed on as they come.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: &Url, seed: u64) -> Result<Self, StartError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut url = local(listener.local_addr()?);
        url.set_path(upstream.path());
        let http = t4t_outbound::direct().connect_timeout(CONNECT_LIMIT).build()?;
        let upstream = upstream.origin().ascii_serialization();
        let plan = Arc::new(Plan::new(seed));
        let shared = Arc::new(Shared { plan: Arc::clone(&plan), upstream, http });
        Ok(Self::serving(plan, url, listener, move |socket| http::serve(socket, Arc::clone(&shared))))
    }
}
