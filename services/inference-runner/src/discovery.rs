//! Rounds over the backends: who answers, which models it has, and whether held models work again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use t4t_clock::{SharedClock, timeout};
use t4t_inference::{InferenceRequest, Kind};
use t4t_runtime::health::Component;
use tokio::sync::Notify;

use crate::asking::{ask, says_no_chat};
use crate::backend::{Backend, Failure};
use crate::catalogue::Route;
use crate::config::RunnerLimits;
use crate::directory::Directory;
use crate::file::WatchedFile;
use crate::listing::Listing;
use crate::request::{AnswerForm, ChatRequest};

/// The shortest time between two rounds.
const SOONEST: Duration = Duration::from_millis(100);

/// While a backend is missing, rounds come this many times sooner.
const SOONER: u32 = 6;

/// The most tokens that a model is tried with.
const MOST_PROBED: u64 = 64;

/// Whether a refusal is about the limit on the answer.
fn is_about_limit(body: &str) -> bool {
    let text = body.to_lowercase();
    ["max_tokens", "max_completion_tokens", "output limit"].iter().any(|word| text.contains(word))
}

/// Looks after the directory.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// The file that names the backends, if there is one.
    pub(crate) file: Option<WatchedFile>,
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
            let wait = if self.directory.has_missing() { interval / SOONER } else { interval };
            let wait = wait.max(SOONEST);
            // One that is worried about is tried at once, and no more often than the shortest round.
            let _whichever_is_first = timeout(self.clock.as_ref(), wait, self.worried_or_changed()).await;
            self.run_once().await;
            self.clock.sleep(SOONEST.min(wait)).await;
        }
    }

    /// Waits until a model is worried about, or the file has changed.
    async fn worried_or_changed(&self) {
        let file_changes = async {
            loop {
                self.clock.sleep(self.limits.file_interval).await;
                if self.take_file().await {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.directory.worried() => {}
            () = file_changes, if self.file.is_some() => {}
        }
    }

    /// Takes the file's backends if it has changed and can be used; whether it did.
    async fn take_file(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let Some(endpoints) = file.changed().await else { return false };
        let backends = endpoints.iter().map(|endpoint| {
            Backend::new(endpoint.clone(), self.limits.connect, Arc::clone(&self.clock)).map(Arc::new)
        });
        match backends.collect() {
            Ok(backends) => {
                tracing::info!(backends = endpoints.len(), "endpoints.json changed and is in use");
                self.directory.replace(backends);
                true
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "endpoints.json changed and can't be used"
                );
                false
            }
        }
    }

    /// One round: asks every backend for its models, and every model in question for one token.
    pub(crate) async fn run_once(&self) {
        let before = self.directory.offered();
        self.take_file().await;
        let backends = self.directory.backends();
        let round = join_all(backends.iter().map(|backend| self.list(backend))).await;
        self.directory.update(backends.iter().cloned().zip(round).collect());
        join_all(self.directory.to_try().into_iter().map(|route| self.probe(route))).await;
        let offered = self.directory.offered();
        if offered.iter().all(|model| model.away) {
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

    async fn list(&self, backend: &Arc<Backend>) -> Option<Listing> {
        let limit = self.limits.discovery_timeout;
        match timeout(self.clock.as_ref(), limit, backend.list()).await {
            Ok(Ok(mut listing)) => {
                // What can't be learned in time stays unknown, and is asked for in the next round.
                if timeout(self.clock.as_ref(), limit, backend.add_details(&mut listing)).await.is_err() {
                    tracing::debug!(
                        endpoint = backend.name(),
                        "a backend did not tell all about its models in time"
                    );
                }
                return Some(listing);
            }
            Ok(Err(failure)) => self.tell_missing(backend, &format!("{failure:?}")),
            Err(_) => self.tell_missing(backend, "it did not answer in time"),
        }
        backend.forget_kind();
        None
    }

    /// Says that a backend lists no models, and again after 1, 2, 4, 8 and so on rounds.
    fn tell_missing(&self, backend: &Arc<Backend>, reason: &str) {
        let misses = self.directory.misses(backend);
        if misses.count_ones() <= 1 {
            tracing::warn!(endpoint = backend.name(), misses, reason, "a backend lists no models");
        }
    }

    async fn probe(&self, route: Arc<Route>) {
        let backend = &route.backend;
        let answered = timeout(self.clock.as_ref(), self.limits.first_token, self.ping(&route)).await;
        match answered {
            Ok(Ok(_)) => {
                tracing::info!(endpoint = backend.name(), model = %route.model.id, "answers");
                self.directory.succeeded(&route);
            }
            Ok(Err(Failure::Refused { refusal, .. })) => {
                let can_not = refusal.blames_request() && says_no_chat(&refusal.message);
                self.directory.failed_when_tried(&route, can_not);
            }
            _ => self.directory.failed_when_tried(&route, false),
        }
    }

    /// Asks the model for one token, as every request is asked; for more where it says that one is too few, since a model
    /// that thinks first may not get to an answer.
    async fn ping(&self, route: &Route) -> Result<Vec<u8>, Failure> {
        let backend = &*route.backend;
        let mut tokens = 1;
        loop {
            let ping = json!({"messages": [{"role": "user", "content": "ping"}], "max_tokens": tokens});
            let broken =
                |error: &dyn std::fmt::Display| Failure::Broken(format!("it can't be asked: {error}"));
            let ping = InferenceRequest::read(Kind::Chat, ping.to_string().into());
            let request = ChatRequest::parse(&ping.map_err(|error| broken(&error))?, None);
            let request = request.map_err(|error| broken(&error))?;
            match ask(backend, &route.model.id, &request, None, AnswerForm::Whole).await {
                Ok(response) => return backend.body(response, self.limits.max_answer_bytes).await,
                Err(Failure::Refused { refusal, body })
                    if tokens < MOST_PROBED && refusal.blames_request() && is_about_limit(&body) =>
                {
                    tokens = MOST_PROBED;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}
