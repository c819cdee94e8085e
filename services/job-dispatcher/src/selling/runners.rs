//! The runners this provider can hand jobs to: one in this process, any number that registered over HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use t4t_api::inference_runner::{GetRunnerStatus, RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::RegisterRunner;
use t4t_api::{HttpClient, HttpClientConfig, InferenceRunner, TransportError};
use t4t_clock::SharedClock;
use t4t_types::{ModelId, RequestId, keccak256};
use tracing::{debug, info};
use url::Url;

/// Most runners that may be registered at a time.
const MAX_RUNNERS: usize = 1024;

/// Requests whose runner is remembered, so that the next one with the same beginning goes where its prefix is cached.
const REMEMBERED_PREFIXES: usize = 4096;

/// A runner that takes jobs now.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) client: Arc<dyn InferenceRunner>,
}

struct Known {
    runner: Runner,
    url: Option<Url>,
    status: RunnerStatus,
    /// Jobs handed to it and not ended, by this side's own count.
    handed: u32,
    /// Slots that others had taken when it last told its load.
    foreign: u32,
    /// When the lease ends, in milliseconds since 1970; `None` for the one in this process.
    lease_ends_ms: Option<u64>,
}

impl Known {
    fn load(&self) -> u32 {
        self.foreign.saturating_add(self.handed)
    }

    /// Takes the runner's word for its models and load.
    fn tell(&mut self, status: RunnerStatus) {
        self.foreign = status.busy.saturating_sub(self.handed);
        self.status = status;
    }

    fn takes(&self, model: &ModelId, now_ms: u64) -> bool {
        self.lease_ends_ms.is_none_or(|ends| ends > now_ms)
            && self.load() < self.status.slots
            && self.serves(model)
    }

    /// Whether it has the model and a backend for it that answers.
    fn serves(&self, model: &ModelId) -> bool {
        self.status.models.iter().any(|offered| offered.model == *model && !offered.away)
    }
}

/// All runners of this provider.
pub(super) struct Runners {
    known: Mutex<HashMap<String, Known>>,
    prefixes: Mutex<HashMap<RequestId, String>>,
    clock: SharedClock,
    lease: Duration,
    token: Option<SecretString>,
}

/// The name of the runner in this process.
const LOCAL: &str = "local";

impl Runners {
    pub(super) fn new(
        local: Option<Arc<dyn InferenceRunner>>,
        clock: SharedClock,
        lease: Duration,
        token: Option<SecretString>,
    ) -> Self {
        let mut known = HashMap::new();
        if let Some(client) = local {
            let runner = Runner { name: LOCAL.to_owned(), client };
            let status = RunnerStatus { slots: 0, busy: 0, models: Vec::new() };
            known.insert(
                LOCAL.to_owned(),
                Known { runner, url: None, status, handed: 0, foreign: 0, lease_ends_ms: None },
            );
        }
        Self { known: Mutex::new(known), prefixes: Mutex::default(), clock, lease, token }
    }

    /// Takes a runner's word that it is there. Returns the lease in milliseconds.
    pub(super) fn register(&self, call: RegisterRunner) -> Result<u64, TransportError> {
        let malformed = |reason: &str| TransportError::Malformed {
            service: "job-dispatcher".into(),
            reason: reason.into(),
        };
        if call.runner.is_empty() || call.runner == LOCAL || call.runner.len() > 128 {
            return Err(malformed("a runner's name has 1 to 128 bytes and is not `local`"));
        }
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let lease_ends_ms = Some(self.clock.unix_millis().saturating_add(lease_ms));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runner) =
            known.get_mut(&call.runner).filter(|known| known.url.as_ref() == Some(&call.url))
        {
            runner.tell(call.status);
            runner.lease_ends_ms = lease_ends_ms;
            return Ok(lease_ms);
        }
        if known.len() >= MAX_RUNNERS {
            return Err(malformed("too many runners"));
        }
        info!(runner = call.runner, url = %call.url, "a runner registered");
        let config = HttpClientConfig {
            service: "inference-runner",
            url: call.url.clone(),
            token: self.token.clone(),
        };
        let client: Arc<dyn InferenceRunner> = Arc::new(HttpClient::new(config)?);
        let runner = Runner { name: call.runner.clone(), client };
        let foreign = call.status.busy;
        let entry =
            Known { runner, url: Some(call.url), status: call.status, handed: 0, foreign, lease_ends_ms };
        known.insert(call.runner, entry);
        Ok(lease_ms)
    }

    /// Asks the runner in this process for its models and load, and forgets those whose lease ended.
    pub(super) async fn refresh(&self) {
        let local = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let now_ms = self.clock.unix_millis();
            known.retain(|name, runner| {
                let stays = runner.lease_ends_ms.is_none_or(|ends| ends > now_ms);
                if !stays {
                    info!(runner = name, "a runner's lease ended");
                }
                stays
            });
            known.get(LOCAL).map(|known| Arc::clone(&known.runner.client))
        };
        let Some(local) = local else { return };
        let status = local.ask(GetRunnerStatus {}).await.unwrap_or_else(|error| {
            debug!(%error, "the runner does not answer");
            RunnerStatus { slots: 0, busy: 0, models: Vec::new() }
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(LOCAL) {
            entry.tell(status);
        }
    }

    /// The models on offer, each once, in order of name; also those that are away for the moment.
    pub(super) fn models(&self) -> Vec<RunnerModel> {
        let now_ms = self.clock.unix_millis();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = known.values().filter(|runner| runner.lease_ends_ms.is_none_or(|ends| ends > now_ms));
        let mut models: Vec<RunnerModel> =
            alive.flat_map(|runner| runner.status.models.iter().cloned()).collect();
        // A model that is away at one runner is not away as long as another one serves it.
        models.sort_by(|a, b| (&a.model, a.away).cmp(&(&b.model, b.away)));
        models.dedup_by(|a, b| a.model == b.model);
        models
    }

    /// Whether a runner that is not among `failed` serves the model, with or without a free slot.
    pub(super) fn may_serve(&self, model: &ModelId, failed: &[String]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|known| !failed.contains(&known.runner.name) && known.serves(model))
    }

    /// How many runners are known.
    pub(super) fn count(&self) -> u32 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(known.len()).unwrap_or(u32::MAX)
    }

    /// Takes a slot for a job: at the runner that served the same prefix if it has one free, else at the least loaded
    /// one that is not among `failed`.
    pub(super) fn take(
        self: &Arc<Self>,
        model: &ModelId,
        prefix: RequestId,
        failed: &[String],
    ) -> Option<Slot> {
        let now_ms = self.clock.unix_millis();
        let preferred = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner).get(&prefix).cloned();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = known
            .values_mut()
            .filter(|known| known.takes(model, now_ms) && !failed.contains(&known.runner.name))
            .min_by_key(|known| (preferred.as_ref() != Some(&known.runner.name), known.load()))?;
        chosen.handed += 1;
        let runner = chosen.runner.clone();
        let is_only_one = known.len() == 1;
        drop(known);
        if !is_only_one {
            self.remember(prefix, &runner.name);
        }
        Some(Slot { runners: Arc::clone(self), runner })
    }

    fn remember(&self, prefix: RequestId, runner: &str) {
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        if prefixes.len() >= REMEMBERED_PREFIXES {
            prefixes.clear();
        }
        prefixes.insert(prefix, runner.to_owned());
    }

    fn give_back(&self, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runner) = known.get_mut(name) {
            runner.handed = runner.handed.saturating_sub(1);
        }
    }
}

/// What requests with the same beginning have in common: their model and first message's first kilobyte.
pub(super) fn prefix_of(model: &ModelId, request: &str) -> RequestId {
    const PREFIX_BYTES: usize = 1024;
    let start = request.find("\"messages\"").unwrap_or_default();
    let bytes = request.as_bytes();
    let prefix = bytes.get(start..).map(|rest| &rest[..rest.len().min(PREFIX_BYTES)]).unwrap_or_default();
    RequestId::new(keccak256([model.as_str().as_bytes(), &[0], prefix].concat()))
}

/// A runner's slot, given back when dropped.
pub(super) struct Slot {
    runners: Arc<Runners>,
    pub(super) runner: Runner,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.runners.give_back(&self.runner.name);
    }
}
