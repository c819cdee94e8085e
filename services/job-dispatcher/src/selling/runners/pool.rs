//! All runners of this provider: which are there, and which of them has the next job.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use t4t_api::inference_runner::{GetRunnerStatus, RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::{RegisterRunner, RunnerShown};
use t4t_api::{HttpClient, HttpClientConfig, InferenceRunner, TransportError};
use t4t_clock::SharedClock;
use t4t_panics::{Lock, LockGuard};
use t4t_types::{ModelId, RequestId, TokenPrices};
use tracing::{debug, info};

use super::book::{Book, Runner};
use super::offers::together;
use super::prefixes::Prefixes;
use super::queue::Queue;

/// Most runners that may be registered at a time.
const MAX_RUNNERS: usize = 1024;

/// How often a free slot is looked for.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The name of the runner in this process.
const LOCAL: &str = "local";

/// What the operator decides about runners.
#[derive(Clone)]
pub(crate) struct RunnersConfig {
    /// How long a registered runner is known without saying so again.
    pub(crate) lease: Duration,
    /// The token that registered runners are called with; without one, none may register.
    pub(crate) token: Option<SecretString>,
    /// The most jobs at a time, where the operator wants fewer than the runners have slots.
    pub(crate) cap: Option<u32>,
}

/// All runners of this provider.
pub(crate) struct Runners {
    book: Lock<Book>,
    queue: Queue,
    prefixes: Prefixes,
    clock: SharedClock,
    config: RunnersConfig,
}

impl Runners {
    pub(crate) fn new(
        local: Option<Arc<dyn InferenceRunner>>,
        clock: SharedClock,
        config: RunnersConfig,
    ) -> Self {
        let mut book = Book::default();
        if let Some(client) = local {
            let runner = Runner { name: LOCAL.to_owned(), client };
            book.enter(runner, None, nothing_told(), None);
        }
        let (queue, prefixes) = (Queue::default(), Prefixes::default());
        Self { book: Lock::new(book), queue, prefixes, clock, config }
    }

    fn book(&self) -> LockGuard<'_, Book> {
        self.book.lock()
    }

    fn limit_of(&self, book: &Book) -> u32 {
        let slots = book.slots(self.clock.unix_millis());
        self.config.cap.map_or(slots, |cap| cap.min(slots))
    }

    /// Jobs that may be worked on at a time: as many as the runners have slots, or fewer where the operator says so.
    pub(crate) fn limit(&self) -> u32 {
        self.limit_of(&self.book())
    }

    /// Whether all runners are in processes of their own, and come after this one's start.
    pub(crate) fn are_apart(&self) -> bool {
        self.book().get(LOCAL).is_none()
    }

    /// Each runner's slots, load and models, in order of name.
    pub(crate) fn shown(&self) -> Vec<RunnerShown> {
        let now_ms = self.clock.unix_millis();
        let mut shown: Vec<RunnerShown> = self.book().alive(now_ms).map(|known| known.shown()).collect();
        shown.sort_by(|a, b| a.runner.cmp(&b.runner));
        shown
    }

    /// Takes a runner's word that it is there. Returns the lease in milliseconds.
    pub(crate) fn register(&self, call: RegisterRunner) -> Result<u64, TransportError> {
        if call.runner.is_empty() || call.runner == LOCAL || call.runner.len() > 128 {
            return Err(malformed("a runner's name has 1 to 128 bytes and is not `local`"));
        }
        let lease_ms = u64::try_from(self.config.lease.as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.clock.unix_millis();
        let lease_ends_ms = Some(now_ms.saturating_add(lease_ms));
        let mut book = self.book();
        let same = book.get_mut(&call.runner).filter(|known| known.url.as_ref() == Some(&call.url));
        if let Some(runner) = same {
            runner.tell(call.status);
            runner.lease_ends_ms = lease_ends_ms;
        } else if book.len() >= MAX_RUNNERS {
            return Err(malformed("too many runners"));
        } else {
            self.take_on(&mut book, call, lease_ends_ms)?;
        }
        let limit = self.limit_of(&book);
        book.say(now_ms, limit);
        Ok(lease_ms)
    }

    fn take_on(
        &self,
        book: &mut Book,
        call: RegisterRunner,
        lease_ends_ms: Option<u64>,
    ) -> Result<(), TransportError> {
        let token = self.config.token.clone();
        let token = token.ok_or_else(|| malformed("this provider runs its backends in its own process"))?;
        info!(runner = call.runner, url = %call.url, "a runner registered");
        let config = HttpClientConfig { service: "inference-runner", url: call.url.clone(), token };
        let client: Arc<dyn InferenceRunner> = Arc::new(HttpClient::new(config)?);
        let runner = Runner { name: call.runner, client };
        book.enter(runner, Some(call.url), call.status, lease_ends_ms);
        Ok(())
    }

    /// Asks the runner in this process for its models and load, and forgets those whose lease ended.
    pub(crate) async fn refresh(&self) {
        let now_ms = self.clock.unix_millis();
        let local = {
            let mut book = self.book();
            book.forget_gone(now_ms);
            book.get(LOCAL).map(|known| Arc::clone(&known.runner.client))
        };
        let status = match local {
            None => None,
            Some(local) => Some(local.ask(GetRunnerStatus {}).await.unwrap_or_else(|error| {
                debug!(%error, "the runner does not answer");
                nothing_told()
            })),
        };
        let mut book = self.book();
        if let (Some(status), Some(entry)) = (status, book.get_mut(LOCAL)) {
            entry.tell(status);
        }
        let limit = self.limit_of(&book);
        book.say(now_ms, limit);
    }

    /// The models that all runners offer together; see [`together`].
    pub(crate) fn models(&self, default_prices: TokenPrices) -> Vec<RunnerModel> {
        together(self.book().offers(self.clock.unix_millis()), default_prices)
    }

    /// Whether a runner that is not among `failed` serves the model, with or without a free slot.
    pub(crate) fn may_serve(&self, model: &ModelId, failed: &[String]) -> bool {
        self.book().may_serve(model, failed)
    }

    /// How many runners are known.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.book().len()).unwrap_or(u32::MAX)
    }

    /// Waits for a slot; of those that wait for the same model, who came first has it first.
    pub(crate) async fn wait(self: &Arc<Self>, model: &ModelId, prefix: RequestId) -> Slot {
        let place = self.queue.join(model);
        loop {
            let freed = self.queue.freed();
            if place.is_first()
                && let Some(slot) = self.take(model, prefix, &[])
            {
                return slot;
            }
            // A runner that comes, or whose others' work ends, is found by looking again.
            tokio::select! {
                () = freed => {}
                () = self.clock.sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Takes a slot for a job, if there are fewer jobs at work than there may be; see [`Book::take`]. Of several runners,
    /// the one that served the same prefix last is preferred.
    pub(crate) fn take(
        self: &Arc<Self>,
        model: &ModelId,
        prefix: RequestId,
        failed: &[String],
    ) -> Option<Slot> {
        let now_ms = self.clock.unix_millis();
        let preferred = self.prefixes.runner_of(prefix);
        let mut book = self.book();
        if self.config.cap.is_some_and(|cap| book.at_work(now_ms) >= cap) {
            return None;
        }
        let (runner, entry) = book.take(model, preferred.as_deref(), failed, now_ms)?;
        let is_only_one = book.len() == 1;
        drop(book);
        if !is_only_one {
            self.prefixes.remember(prefix, &runner.name);
        }
        Some(Slot { runners: Arc::clone(self), runner, entry })
    }
}

/// A runner's slot, given back when dropped.
pub(crate) struct Slot {
    runners: Arc<Runners>,
    pub(crate) runner: Runner,
    entry: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.runners.book().give_back(&self.runner.name, self.entry);
        self.runners.queue.look_again();
    }
}

/// The status of a runner that has told nothing.
fn nothing_told() -> RunnerStatus {
    RunnerStatus { slots: 0, busy: 0, models: Vec::new() }
}

fn malformed(reason: &str) -> TransportError {
    TransportError::Malformed { service: "job-dispatcher".into(), reason: reason.into() }
}
