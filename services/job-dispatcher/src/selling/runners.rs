//! The runners this provider can hand jobs to: one in this process, any number that registered over HTTP.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use t4t_api::inference_runner::{GetRunnerStatus, RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::{RegisterRunner, RunnerShown};
use t4t_api::{HttpClient, HttpClientConfig, InferenceRunner, TransportError};
use t4t_clock::SharedClock;
use t4t_inference::InferenceRequest;
use t4t_types::{ModelId, RequestId, TokenPrices, keccak256};
use tokio::sync::Notify;
use tracing::{debug, info};
use url::Url;

/// Most runners that may be registered at a time.
const MAX_RUNNERS: usize = 1024;

/// How often a free slot is looked for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

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
    /// Which of all entries this is: a runner that comes again is another one, and owes nothing for the first's jobs.
    entry: u64,
    /// The number of the last job that was handed to it.
    last_turn: u64,
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

    fn is_alive(&self, now_ms: u64) -> bool {
        self.lease_ends_ms.is_none_or(|ends| ends > now_ms)
    }

    /// Whether it has the model and a backend for it that answers.
    fn serves(&self, model: &ModelId) -> bool {
        self.status.models.iter().any(|offered| offered.model == *model && !offered.away)
    }

    fn takes(&self, model: &ModelId, now_ms: u64) -> bool {
        self.is_alive(now_ms) && self.load() < self.status.slots && self.serves(model)
    }

    /// How full it is, in millionths.
    fn fullness(&self) -> u64 {
        u64::from(self.load()) * 1_000_000 / u64::from(self.status.slots.max(1))
    }

    fn shown(&self) -> RunnerShown {
        RunnerShown {
            runner: self.runner.name.clone(),
            slots: self.status.slots,
            busy: self.load().min(self.status.slots),
            models: self.status.models.iter().map(|offered| offered.model.clone()).collect(),
        }
    }
}

/// What is known of all runners together.
#[derive(Default)]
struct Book {
    known: HashMap<String, Known>,
    /// Entries made so far.
    entries: u64,
    /// Jobs handed out so far.
    turns: u64,
    /// What was last said about the slots.
    said: Vec<(String, u32)>,
}

impl Book {
    fn alive(&self, now_ms: u64) -> impl Iterator<Item = &Known> {
        self.known.values().filter(move |known| known.is_alive(now_ms))
    }

    /// The slots of all runners together.
    fn slots(&self, now_ms: u64) -> u32 {
        self.alive(now_ms).fold(0, |sum, known| sum.saturating_add(known.status.slots))
    }

    /// Jobs that the runners work on. What a runner that is gone was handed binds no slot of the others.
    fn at_work(&self, now_ms: u64) -> u32 {
        self.alive(now_ms).fold(0, |sum, known| sum.saturating_add(known.handed))
    }

    fn enter(&mut self, runner: Runner, url: Option<Url>, status: RunnerStatus, lease_ends_ms: Option<u64>) {
        self.entries += 1;
        let (name, foreign, entry) = (runner.name.clone(), status.busy, self.entries);
        let known = Known { runner, url, status, handed: 0, foreign, entry, last_turn: 0, lease_ends_ms };
        self.known.insert(name, known);
    }

    /// Says each runner's slots when they have changed.
    fn say(&mut self, now_ms: u64, limit: u32) {
        let mut slots: Vec<(String, u32)> =
            self.alive(now_ms).map(|known| (known.runner.name.clone(), known.status.slots)).collect();
        slots.sort();
        if slots == self.said {
            return;
        }
        let each: Vec<String> = slots.iter().map(|(name, slots)| format!("{name} {slots}")).collect();
        info!(slots = limit, runners = each.join(", "), "jobs at a time");
        self.said = slots;
    }
}

/// All runners of this provider.
pub(super) struct Runners {
    book: Mutex<Book>,
    /// The most jobs at a time, where the operator wants fewer than the runners have slots.
    cap: Option<u32>,
    /// Jobs that wait for a slot, in the order in which they came.
    queue: Mutex<Queue>,
    freed: Notify,
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
        cap: Option<u32>,
    ) -> Self {
        let mut book = Book::default();
        if let Some(client) = local {
            let runner = Runner { name: LOCAL.to_owned(), client };
            book.enter(runner, None, RunnerStatus { slots: 0, busy: 0, models: Vec::new() }, None);
        }
        let (book, queue, prefixes) = (Mutex::new(book), Mutex::default(), Mutex::default());
        Self { book, cap, queue, freed: Notify::new(), prefixes, clock, lease, token }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit_of(&self, book: &Book) -> u32 {
        let slots = book.slots(self.clock.unix_millis());
        self.cap.map_or(slots, |cap| cap.min(slots))
    }

    /// Jobs that may be worked on at a time: as many as the runners have slots, or fewer where the operator says so.
    pub(super) fn limit(&self) -> u32 {
        self.limit_of(&self.book())
    }

    /// Whether all runners are in processes of their own, and come after this one's start.
    pub(super) fn are_apart(&self) -> bool {
        !self.book().known.contains_key(LOCAL)
    }

    /// Each runner's slots, load and models, in order of name.
    pub(super) fn shown(&self) -> Vec<RunnerShown> {
        let now_ms = self.clock.unix_millis();
        let mut shown: Vec<RunnerShown> = self.book().alive(now_ms).map(Known::shown).collect();
        shown.sort_by(|a, b| a.runner.cmp(&b.runner));
        shown
    }

    /// Takes a runner's word that it is there. Returns the lease in milliseconds.
    pub(super) fn register(&self, call: RegisterRunner) -> Result<u64, TransportError> {
        if call.runner.is_empty() || call.runner == LOCAL || call.runner.len() > 128 {
            return Err(malformed("a runner's name has 1 to 128 bytes and is not `local`"));
        }
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.clock.unix_millis();
        let lease_ends_ms = Some(now_ms.saturating_add(lease_ms));
        let mut book = self.book();
        let same = book.known.get_mut(&call.runner).filter(|known| known.url.as_ref() == Some(&call.url));
        if let Some(runner) = same {
            runner.tell(call.status);
            runner.lease_ends_ms = lease_ends_ms;
        } else if book.known.len() >= MAX_RUNNERS {
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
        let token = self
            .token
            .clone()
            .ok_or_else(|| malformed("this provider runs its backends in its own process"))?;
        info!(runner = call.runner, url = %call.url, "a runner registered");
        let config = HttpClientConfig { service: "inference-runner", url: call.url.clone(), token };
        let client: Arc<dyn InferenceRunner> = Arc::new(HttpClient::new(config)?);
        let runner = Runner { name: call.runner, client };
        book.enter(runner, Some(call.url), call.status, lease_ends_ms);
        Ok(())
    }

    /// Asks the runner in this process for its models and load, and forgets those whose lease ended.
    pub(super) async fn refresh(&self) {
        let now_ms = self.clock.unix_millis();
        let local = {
            let mut book = self.book();
            book.known.retain(|name, runner| {
                let stays = runner.is_alive(now_ms);
                if !stays {
                    info!(runner = name, "a runner's lease ended");
                }
                stays
            });
            book.known.get(LOCAL).map(|known| Arc::clone(&known.runner.client))
        };
        let status = match local {
            None => None,
            Some(local) => Some(local.ask(GetRunnerStatus {}).await.unwrap_or_else(|error| {
                debug!(%error, "the runner does not answer");
                RunnerStatus { slots: 0, busy: 0, models: Vec::new() }
            })),
        };
        let mut book = self.book();
        if let (Some(status), Some(entry)) = (status, book.known.get_mut(LOCAL)) {
            entry.tell(status);
        }
        let limit = self.limit_of(&book);
        book.say(now_ms, limit);
    }

    /// The models on offer, each once, in order of name; also those that are away for the moment. A job may go to any
    /// runner that has the model, so each is offered at the highest of their prices (`default_prices` where a runner
    /// states none) and with the shortest context that one of them tells: no runner's word makes the others' work cheaper
    /// than their operator set it. A runner whose backend is away counts: it may be back before the job begins.
    pub(super) fn models(&self, default_prices: TokenPrices) -> Vec<RunnerModel> {
        let now_ms = self.clock.unix_millis();
        let book = self.book();
        let mut models = BTreeMap::<ModelId, RunnerModel>::new();
        for told in book.alive(now_ms).flat_map(|runner| &runner.status.models) {
            let prices = told.prices.unwrap_or(default_prices);
            let max_context_tokens = told.max_context_tokens.filter(|tokens| *tokens > 0);
            let offered = models.entry(told.model.clone()).or_insert_with(|| RunnerModel {
                prices: Some(prices),
                max_context_tokens,
                ..told.clone()
            });
            let so_far = offered.prices.unwrap_or(prices);
            offered.prices = Some(TokenPrices {
                input: so_far.input.max(prices.input),
                output: so_far.output.max(prices.output),
            });
            offered.max_context_tokens =
                offered.max_context_tokens.into_iter().chain(max_context_tokens).min();
            // A model that is away at one runner is not away as long as another one serves it.
            offered.away &= told.away;
        }
        models.into_values().collect()
    }

    /// Whether a runner that is not among `failed` serves the model, with or without a free slot.
    pub(super) fn may_serve(&self, model: &ModelId, failed: &[String]) -> bool {
        self.book().known.values().any(|known| !failed.contains(&known.runner.name) && known.serves(model))
    }

    /// How many runners are known.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.book().known.len()).unwrap_or(u32::MAX)
    }

    /// Waits for a slot; of those that wait for the same model, who came first has it first.
    pub(super) async fn wait(self: &Arc<Self>, model: &ModelId, prefix: RequestId) -> Slot {
        let place = Place::take(self, model);
        loop {
            let freed = self.freed.notified();
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

    /// Takes a slot for a job, if there are fewer jobs at work than there may be: at the least loaded runner that is not
    /// among `failed`, and of several at the one whose last turn is longest ago; or at the one that served the same
    /// prefix, while that is hardly more loaded.
    pub(super) fn take(
        self: &Arc<Self>,
        model: &ModelId,
        prefix: RequestId,
        failed: &[String],
    ) -> Option<Slot> {
        let now_ms = self.clock.unix_millis();
        let preferred = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner).get(&prefix).cloned();
        let mut book = self.book();
        if self.cap.is_some_and(|cap| book.at_work(now_ms) >= cap) {
            return None;
        }
        let turn = book.turns + 1;
        let free = |known: &&mut Known| known.takes(model, now_ms) && !failed.contains(&known.runner.name);
        let least = book.known.values_mut().filter(free).map(|known| known.load()).min()?;
        let chosen = book.known.values_mut().filter(free).min_by_key(|known| {
            // The prefix that it has in memory is worth one place in its queue, not more: the others would idle.
            let is_preferred = preferred.as_ref() == Some(&known.runner.name) && known.load() <= least + 1;
            (!is_preferred, known.fullness(), known.last_turn, known.entry)
        })?;
        chosen.handed += 1;
        chosen.last_turn = turn;
        let (runner, entry) = (chosen.runner.clone(), chosen.entry);
        book.turns = turn;
        let is_only_one = book.known.len() == 1;
        drop(book);
        if !is_only_one {
            self.remember(prefix, &runner.name);
        }
        Some(Slot { runners: Arc::clone(self), runner, entry })
    }

    fn remember(&self, prefix: RequestId, runner: &str) {
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        if prefixes.len() >= REMEMBERED_PREFIXES {
            prefixes.clear();
        }
        prefixes.insert(prefix, runner.to_owned());
    }

    fn give_back(&self, name: &str, entry: u64) {
        let mut book = self.book();
        if let Some(runner) = book.known.get_mut(name).filter(|known| known.entry == entry) {
            runner.handed = runner.handed.saturating_sub(1);
        }
        drop(book);
        self.freed.notify_waiters();
    }
}

/// Jobs that wait for a slot.
#[derive(Default)]
struct Queue {
    tickets: u64,
    waiting: BTreeMap<u64, ModelId>,
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    runners: &'a Runners,
    ticket: u64,
    model: &'a ModelId,
}

impl<'a> Place<'a> {
    fn take(runners: &'a Runners, model: &'a ModelId) -> Self {
        let mut queue = runners.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.tickets += 1;
        let ticket = queue.tickets;
        queue.waiting.insert(ticket, model.clone());
        Self { runners, ticket, model }
    }

    fn is_first(&self) -> bool {
        let queue = self.runners.queue.lock().unwrap_or_else(PoisonError::into_inner);
        !queue.waiting.range(..self.ticket).any(|(_, model)| model == self.model)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // The next may look, wherever it stands.
        self.runners.freed.notify_waiters();
        self.runners.queue.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.ticket);
    }
}

fn malformed(reason: &str) -> TransportError {
    TransportError::Malformed { service: "job-dispatcher".into(), reason: reason.into() }
}

/// What requests with the same beginning have in common: their model and first message's first kilobyte.
pub(super) fn prefix_of(model: &ModelId, request: &InferenceRequest) -> RequestId {
    let request = request.json().as_str();
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
    entry: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.runners.give_back(&self.runner.name, self.entry);
    }
}

#[cfg(test)]
#[path = "runners_tests.rs"]
mod tests;
