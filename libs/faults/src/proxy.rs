//! What every proxy is: a port, and a plan of what goes wrong there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::plan::Plan;

/// A server on a port of its own, before one that works; it ends when dropped.
pub struct Proxy<F> {
    plan: Arc<Plan<F>>,
    url: Url,
    accepting: JoinHandle<()>,
}

impl<F: Copy + Ord> Proxy<F> {
    /// Serves every connection with `serve`, which asks the same plan.
    pub(crate) fn serving<S>(
        plan: Arc<Plan<F>>,
        url: Url,
        listener: TcpListener,
        serve: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        Self { plan, url, accepting: tokio::spawn(accept(listener, serve)) }
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// From now on this alone happens to requests it can happen to, with this probability from 0 to 1.
    pub fn set(&self, fault: F, rate: f64) {
        self.mix(&[(fault, rate)]);
    }

    /// From now on these happen to requests they can happen to, each with its probability from 0 to 1; one at most to a
    /// request.
    pub fn mix(&self, faults: &[(F, f64)]) {
        self.plan.set(faults.to_vec());
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&self) {
        self.plan.set(Vec::new());
    }

    /// From now on this hears of every fault, at once and in the way of the request: it must be quick.
    pub fn on_fault(&self, tell: impl Fn(F) + Send + Sync + 'static) {
        self.plan.tell(Arc::new(tell));
    }

    /// How often something went wrong.
    pub fn injected(&self) -> u64 {
        self.plan.injected()
    }

    /// How often each fault happened that did.
    pub fn counts(&self) -> BTreeMap<F, u64> {
        self.plan.counts()
    }
}

impl<F> Drop for Proxy<F> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl<F: fmt::Debug> fmt::Debug for Proxy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url.as_str()).field("plan", &self.plan).finish()
    }
}

/// Serves the connections of a listener until this is dropped, and they end with it.
pub async fn accept<S>(listener: TcpListener, serve: impl Fn(TcpStream) -> S)
where
    S: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(serve(socket));
        while connections.try_join_next().is_some() {}
    }
}
