//! Who is there, and how loaded: by the runners' own word and by this side's count.

use std::collections::HashMap;
use std::sync::Arc;

use t4t_api::InferenceRunner;
use t4t_api::inference_runner::{RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::RunnerShown;
use t4t_types::ModelId;
use tracing::info;
use url::Url;

/// A runner that takes jobs now.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) name: String,
    pub(crate) client: Arc<dyn InferenceRunner>,
}

/// A runner's entry.
pub(super) struct Known {
    pub(super) runner: Runner,
    pub(super) url: Option<Url>,
    pub(super) status: RunnerStatus,
    /// Jobs handed to it and not ended, by this side's own count.
    handed: u32,
    /// Slots that others had taken when it last told its load.
    foreign: u32,
    /// Which of all entries this is: a runner that comes again is another one, and owes nothing for the first's jobs.
    entry: u64,
    /// The number of the last job that was handed to it.
    last_turn: u64,
    /// When the lease ends, in milliseconds since 1970; `None` for the one in this process.
    pub(super) lease_ends_ms: Option<u64>,
}

impl Known {
    fn load(&self) -> u32 {
        self.foreign.saturating_add(self.handed)
    }

    /// Takes the runner's word for its models and load.
    pub(super) fn tell(&mut self, status: RunnerStatus) {
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

    pub(super) fn shown(&self) -> RunnerShown {
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
pub(super) struct Book {
    known: HashMap<String, Known>,
    /// Entries made so far.
    entries: u64,
    /// Jobs handed out so far.
    turns: u64,
    /// What was last said about the slots.
    said: Vec<(String, u32)>,
}

impl Book {
    /// Those whose lease has not ended.
    pub(super) fn alive(&self, now_ms: u64) -> impl Iterator<Item = &Known> {
        self.known.values().filter(move |known| known.is_alive(now_ms))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Known> {
        self.known.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Known> {
        self.known.get_mut(name)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The slots of all runners together.
    pub(super) fn slots(&self, now_ms: u64) -> u32 {
        self.alive(now_ms).fold(0, |sum, known| sum.saturating_add(known.status.slots))
    }

    /// Jobs that the runners work on. What a runner that is gone was handed binds no slot of the others.
    pub(super) fn at_work(&self, now_ms: u64) -> u32 {
        self.alive(now_ms).fold(0, |sum, known| sum.saturating_add(known.handed))
    }

    /// What the runners offer, each for itself.
    pub(super) fn offers(&self, now_ms: u64) -> impl Iterator<Item = &RunnerModel> {
        self.alive(now_ms).flat_map(|known| &known.status.models)
    }

    /// Whether a runner that is not among `failed` serves the model, with or without a free slot.
    pub(super) fn may_serve(&self, model: &ModelId, failed: &[String]) -> bool {
        self.known.values().any(|known| !failed.contains(&known.runner.name) && known.serves(model))
    }

    pub(super) fn enter(
        &mut self,
        runner: Runner,
        url: Option<Url>,
        status: RunnerStatus,
        lease_ends_ms: Option<u64>,
    ) {
        self.entries += 1;
        let (name, foreign, entry) = (runner.name.clone(), status.busy, self.entries);
        let known = Known { runner, url, status, handed: 0, foreign, entry, last_turn: 0, lease_ends_ms };
        self.known.insert(name, known);
    }

    /// Forgets those whose lease ended.
    pub(super) fn forget_gone(&mut self, now_ms: u64) {
        self.known.retain(|name, runner| {
            let stays = runner.is_alive(now_ms);
            if !stays {
                info!(runner = name, "a runner's lease ended");
            }
            stays
        });
    }

    /// Takes a slot: at the least loaded runner that is not among `failed`, and of several at the one whose last turn is
    /// longest ago; or at the `preferred` one, while that is hardly more loaded. Returns the runner and its entry.
    pub(super) fn take(
        &mut self,
        model: &ModelId,
        preferred: Option<&str>,
        failed: &[String],
        now_ms: u64,
    ) -> Option<(Runner, u64)> {
        let turn = self.turns + 1;
        let free = |known: &&mut Known| known.takes(model, now_ms) && !failed.contains(&known.runner.name);
        let least = self.known.values_mut().filter(free).map(|known| known.load()).min()?;
        let chosen = self.known.values_mut().filter(free).min_by_key(|known| {
            // The prefix that it has in memory is worth one place in its queue, not more: the others would idle.
            let is_preferred = preferred == Some(known.runner.name.as_str()) && known.load() <= least + 1;
            (!is_preferred, known.fullness(), known.last_turn, known.entry)
        })?;
        chosen.handed += 1;
        chosen.last_turn = turn;
        self.turns = turn;
        Some((chosen.runner.clone(), chosen.entry))
    }

    /// Gives a slot back, unless its runner has come again since.
    pub(super) fn give_back(&mut self, name: &str, entry: u64) {
        if let Some(runner) = self.known.get_mut(name).filter(|known| known.entry == entry) {
            runner.handed = runner.handed.saturating_sub(1);
        }
    }

    /// Says each runner's slots when they have changed.
    pub(super) fn say(&mut self, now_ms: u64, limit: u32) {
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
