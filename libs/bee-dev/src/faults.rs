//! What goes wrong, when somebody asks for it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use t4t_clock::SharedClock;
use t4t_types::SwarmRef;
use tokio::sync::watch;

/// References whose misses are counted; further ones start the count anew.
const COUNTED_REFERENCES: usize = 100_000;

/// Faults of a development network. All off by default; a probability is a number from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every call waits this long first, in milliseconds.
    pub delay_ms: u64,
    /// How likely a message gets lost on its way to a subscriber.
    pub drop_messages: f64,
    /// How likely a message arrives twice.
    pub duplicate_messages: f64,
    /// How likely a message is held back so that later ones overtake it.
    pub reorder_messages: f64,
    /// How long every message travels, in milliseconds.
    pub message_delay_ms: u64,
    /// Empty frames that follow each message; real nodes send one to three.
    pub empty_frames: u32,
    /// Uploads fail.
    pub upload_error: Option<InjectedError>,
    /// Downloads fail.
    pub download_error: Option<InjectedError>,
    /// The first downloads of each reference find nothing.
    pub not_found_first_n: u32,
    /// How long a deferred upload stays invisible to other nodes, in milliseconds.
    pub deferred_delay_ms: u64,
    /// How many bytes a second of its deferred uploads a node pushes on, so that other nodes can read them; 0 for all at
    /// once.
    pub deferred_bytes_a_second: u64,
    /// How many bytes a second a download sends, 0 for all at once. One that is broken off starts from nothing.
    pub download_bytes_a_second: u64,
    /// How long a download looks for what is not there yet before it is a 404, in milliseconds.
    pub retrieval_ms: u64,
    /// A node that takes what it is given and passes none of it on.
    pub cut_off: Option<CutOff>,
    /// A node that answers nothing for a while, from when this is set.
    pub frozen: Option<Frozen>,
    /// A node that does not show its batches, as after a restart.
    pub hidden_batches: Option<HiddenBatches>,
    /// How long a node does not see a batch that it bought, in milliseconds.
    pub new_batch_unseen_ms: u64,
    /// A node that says that it is a light one.
    pub light: Option<Light>,
    /// Subscriptions stay open and send nothing, not even pings.
    pub silent_sockets: bool,
    /// Every batch is full.
    pub stamp_full: bool,
    /// The batches of a node end sooner than they were paid for.
    pub stamps_end: Option<StampsEnd>,
    /// `POST /chunks` is refused with 501.
    pub refuse_chunks: bool,
}

/// Batches that end sooner than they were paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StampsEnd {
    /// Whose batches, counted from 0.
    pub node: usize,
    /// How long they last still; at 0 they pay for nothing.
    pub seconds_left: u32,
}

/// A node without a way to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutOff {
    /// Which node, counted from 0.
    pub node: usize,
    /// How long it tries before it answers a direct upload with 201, in milliseconds; real nodes 30,000.
    pub answers_after_ms: u64,
}

/// A node that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// Which node, counted from 0.
    pub node: usize,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// A node that does not show its batches: `usable: false`, `exists: false`, `batchTTL: -1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HiddenBatches {
    /// Which node, counted from 0.
    pub node: usize,
    /// Whether its list is empty as well.
    pub unlisted: bool,
}

/// A light node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    /// Which node, counted from 0.
    pub node: usize,
    /// Whether messages reach it all the same.
    pub receives: bool,
}

/// A call that fails now and then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedError {
    /// How likely.
    pub probability: f64,
    /// The HTTP status; 0 for no answer at all.
    pub status: u16,
}

impl Faults {
    /// What a healthy real node does: one empty frame after each message.
    pub fn realistic() -> Self {
        Self { empty_frames: 1, ..Self::default() }
    }
}

/// Changes a running network's faults; clones reach the same network.
#[derive(Clone, Debug)]
pub struct FaultHandle {
    shared: Arc<Shared>,
}

struct Shared {
    clock: SharedClock,
    state: Mutex<State>,
    /// Counts how often every subscription was cut.
    cuts: watch::Sender<u64>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Hears of every fault, in plain words.
type Tell = Arc<dyn Fn(&'static str) + Send + Sync>;

struct State {
    faults: Faults,
    dice: u64,
    /// When the freeze that is on began, in milliseconds since 1970.
    frozen_since_ms: u64,
    misses: HashMap<SwarmRef, u32>,
    counts: BTreeMap<&'static str, u64>,
    tell: Option<Tell>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut state = f.debug_struct("State");
        state.field("faults", &self.faults).field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl FaultHandle {
    pub(crate) fn new(faults: Faults, seed: u64, clock: SharedClock) -> Self {
        let (misses, counts, frozen_since_ms) = (HashMap::new(), BTreeMap::new(), clock.unix_millis());
        let state = Mutex::new(State { faults, dice: seed, frozen_since_ms, misses, counts, tell: None });
        Self { shared: Arc::new(Shared { clock, state, cuts: watch::Sender::new(0) }) }
    }

    /// The faults as they are.
    pub fn get(&self) -> Faults {
        self.state().faults.clone()
    }

    /// Replaces all faults.
    pub fn set(&self, faults: Faults) {
        let mut state = self.state();
        if state.faults.frozen != faults.frozen {
            state.frozen_since_ms = self.shared.clock.unix_millis();
        }
        state.faults = faults;
        state.misses.clear();
    }

    /// How many milliseconds a node stands still yet.
    pub(crate) fn frozen_ms(&self, node: usize) -> u64 {
        let state = self.state();
        let Some(frozen) = state.faults.frozen.filter(|frozen| frozen.node == node) else { return 0 };
        let ends_ms = state.frozen_since_ms.saturating_add(frozen.for_ms);
        ends_ms.saturating_sub(self.shared.clock.unix_millis())
    }

    /// Whether a node passes nothing on.
    pub(crate) fn is_cut_off(&self, node: usize) -> bool {
        self.state().faults.cut_off.is_some_and(|cut_off| cut_off.node == node)
    }

    /// Whether messages reach a node.
    pub(crate) fn is_deaf(&self, node: usize) -> bool {
        self.state().faults.light.is_some_and(|light| light.node == node && !light.receives)
    }

    /// Changes some faults.
    pub fn change(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.get();
        change(&mut faults);
        self.set(faults);
    }

    /// Makes the dice repeatable from here on.
    pub fn reseed(&self, seed: u64) {
        self.state().dice = seed;
    }

    /// How often each fault happened that did, by its words.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.state().counts.clone()
    }

    /// From now on this hears of every fault, at once and in its way: it must be quick.
    pub fn on_fault(&self, tell: impl Fn(&'static str) + Send + Sync + 'static) {
        self.state().tell = Some(Arc::new(tell));
    }

    pub(crate) fn happened(&self, what: &'static str) {
        let mut state = self.state();
        *state.counts.entry(what).or_default() += 1;
        let tell = state.tell.clone();
        drop(state);
        if let Some(tell) = tell {
            tell(what);
        }
    }

    /// Cuts every open subscription, as a restart of the node does.
    pub fn cut_subscriptions(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.shared.cuts.subscribe()
    }

    /// Whether this, with its probability, happens now.
    pub(crate) fn happens(&self, what: &'static str, probability: f64) -> bool {
        let happens = self.falls(probability);
        if happens {
            self.happened(what);
        }
        happens
    }

    fn falls(&self, probability: f64) -> bool {
        // Sure things use up no dice, so that a seed means the same whatever else is on.
        if probability <= 0.0 || probability >= 1.0 {
            return probability >= 1.0;
        }
        let mut state = self.state();
        // SplitMix64.
        state.dice = state.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let uniform = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        uniform < probability
    }

    /// Whether this download is one of the first that find nothing.
    pub(crate) fn misses(&self, reference: &SwarmRef) -> bool {
        let mut state = self.state();
        let first = state.faults.not_found_first_n;
        if first == 0 {
            return false;
        }
        if state.misses.len() >= COUNTED_REFERENCES {
            state.misses.clear();
        }
        let misses = state.misses.entry(*reference).or_default();
        *misses = misses.saturating_add(1);
        let is_missed = *misses <= first;
        drop(state);
        if is_missed {
            self.happened("not found yet");
        }
        is_missed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use t4t_clock::SystemClock;

    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let throws = |seed| {
            let faults = FaultHandle::new(Faults::default(), seed, SystemClock::shared());
            (0..64).map(|_| faults.happens("heads", 0.5)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        let heads = throws(7).iter().filter(|happened| **happened).count();
        assert!((16..48).contains(&heads), "{heads}");
    }

    #[test]
    fn faults_that_nobody_knows_are_refused() {
        assert!(serde_json::from_str::<Faults>(r#"{"drop_mesages":1}"#).is_err());
        assert_eq!(serde_json::from_str::<Faults>("{}").unwrap(), Faults::default());
    }

    #[test]
    fn the_first_downloads_miss_and_later_ones_do_not() {
        let faults =
            FaultHandle::new(Faults { not_found_first_n: 2, ..Faults::default() }, 0, SystemClock::shared());
        assert_eq!([0; 4].map(|_| faults.misses(&SwarmRef::ZERO)), [true, true, false, false]);
        assert_eq!(faults.counts()["not found yet"], 2);
    }
}
