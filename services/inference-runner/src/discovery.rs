//! Rounds over the backends: who answers, which models it has, and whether held models work again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use t4t_clock::{SharedClock, timeout};
use t4t_runtime::health::Component;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::catalogue::{ListedModel, Route};
use crate::config::RunnerLimits;
use crate::directory::Directory;

/// The shortest time between two rounds.
const SOONEST: Duration = Duration::from_millis(100);

/// After a first miss the next round comes this many times sooner.
const SOONER: u32 = 6;

/// Looks after the directory.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// The backends in the file's order.
    pub(crate) backends: Arc<Vec<Backend>>,
    /// What it fills.
    pub(crate) directory: Arc<Directory>,
    /// How long it waits.
    pub(crate) limits: RunnerLimits,
    /// Its time.
    pub(crate) clock: SharedClock,
    /// Told when the offered models changed.
    pub(crate) changed: Arc<Notify>,
    /// Its place on the board of what is ready.
    pub(crate) component: Component,
}

impl Discovery {
    /// Goes on for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let interval = self.limits.discovery_interval;
            let wait = if self.directory.has_fresh_miss() { interval / SOONER } else { interval };
            let wait = wait.max(SOONEST);
            // One that is worried about is tried at once, and no more often than the shortest round.
            let _whichever_is_first = timeout(self.clock.as_ref(), wait, self.directory.worried()).await;
            self.run_once().await;
            self.clock.sleep(SOONEST.min(wait)).await;
        }
    }

    /// One round: asks every backend for its models, and every model in question for one token.
    pub(crate) async fn run_once(&self) {
        let before = self.directory.offered();
        let round = join_all(self.backends.iter().map(|backend| self.list(backend))).await;
        self.directory.update(round);
        join_all(self.directory.to_try().into_iter().map(|route| self.probe(route))).await;
        let offered = self.directory.offered();
        if offered.is_empty() {
            let next_step = "start a backend that endpoints.json names, and load a model into it";
            self.component.not_ready("no backend offers a model", next_step);
        } else {
            self.component.ready();
        }
        if offered != before {
            tracing::info!(models = offered.len(), "the models on offer changed");
            self.changed.notify_one();
        }
    }

    async fn list(&self, backend: &Backend) -> Option<Vec<ListedModel>> {
        let listing = timeout(self.clock.as_ref(), self.limits.discovery_timeout, backend.list()).await;
        match listing {
            Ok(Ok(listing)) => return Some(listing),
            Ok(Err(refusal)) => {
                tracing::warn!(endpoint = backend.name(), ?refusal, "a backend lists no models");
            }
            Err(_) => tracing::warn!(endpoint = backend.name(), "a backend did not list its models in time"),
        }
        None
    }

    async fn probe(&self, route: Arc<Route>) {
        let Some(backend) = self.backends.get(route.endpoint) else { return };
        let ping = json!({
            "model": route.id,
            "messages": [{"role": "user", "content": "ping"}],
            "max_tokens": 1,
            "stream": false,
        });
        let probe = async {
            let response = backend.complete(ping.to_string().into_bytes()).await?;
            backend.body(response, self.limits.max_answer_bytes).await
        };
        let answered = timeout(self.clock.as_ref(), self.limits.first_token, probe).await;
        if matches!(answered, Ok(Ok(_))) {
            tracing::info!(model = %route.offered, "answers");
            self.directory.succeeded(&route);
        } else {
            self.directory.failed_when_tried(&route);
        }
    }
}
