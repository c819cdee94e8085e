//! A JSON-RPC endpoint that goes wrong now and then, in front of one that works.

mod faults;
mod http;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use url::Url;

pub use self::faults::RpcFault;
use crate::plan::Plan;
use crate::{Proxy, StartError, local};

/// How long the endpoint that works may take.
const UPSTREAM_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Shared {
    plan: Arc<Plan<RpcFault>>,
    upstream: Url,
    http: reqwest::Client,
}

impl Shared {
    /// The fault that happens to a request with these methods, if one does.
    fn fault_for(&self, methods: &[&str]) -> Option<RpcFault> {
        self.plan.fault(|fault| methods.iter().any(|method| fault.concerns(method)))
    }
}

/// An endpoint.
pub type RpcProxy = Proxy<RpcFault>;

impl RpcProxy {
    /// Starts an endpoint before another one; nothing goes wrong yet.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: Url, seed: u64) -> Result<Self, StartError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = local(listener.local_addr()?);
        let http = t4t_outbound::direct().timeout(UPSTREAM_LIMIT).build()?;
        let plan = Arc::new(Plan::new(seed));
        let shared = Arc::new(Shared { plan: Arc::clone(&plan), upstream, http });
        Ok(Self::serving(plan, url, listener, move |socket| http::serve(socket, Arc::clone(&shared))))
    }
}
