//! What happens, told as it happens: a line each, for people or for programs.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use t4t_terminal::output;

/// Faults told to people in one second; the others are counted.
const LINES_A_SECOND: u32 = 4;

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Chain,
    Swarm,
    Backend,
    Gateway,
    Provider,
    App,
    Market,
}

impl Place {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Swarm => "swarm",
            Self::Backend => "backend",
            Self::Gateway => "gateway",
            Self::Provider => "provider",
            Self::App => "app",
            Self::Market => "market",
        }
    }
}

/// Tells; clones tell the same reader.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    begun: Instant,
    as_json: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    second: u64,
    told: u32,
    left_out: u32,
    broken: Option<io::Error>,
}

impl Teller {
    /// Begins to count time.
    pub(super) fn new(as_json: bool) -> Self {
        let state = Mutex::default();
        Self { shared: Arc::new(Shared { begun: Instant::now(), as_json, state }) }
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.shared.begun.elapsed().as_secs_f64()
    }

    /// Tells of a fault; people are spared most of many.
    pub(super) fn fault(&self, place: Place, what: &str) {
        let mut state = self.state();
        if self.shared.as_json {
            return self.write(&mut state, &self.event("fault", place, what).to_string());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
        let second = self.seconds() as u64;
        if state.second != second {
            let left_out = std::mem::take(&mut state.left_out);
            (state.second, state.told) = (second, 0);
            if left_out > 0 {
                self.write(&mut state, &format!("            and {left_out} more faults"));
            }
        }
        if state.told >= LINES_A_SECOND {
            state.left_out += 1;
            return;
        }
        state.told += 1;
        let line = self.line(place, what);
        self.write(&mut state, &line);
    }

    /// Tells of something else, always.
    pub(super) fn say(&self, place: Place, what: &str) {
        let line = if self.shared.as_json {
            self.event("event", place, what).to_string()
        } else {
            self.line(place, what)
        };
        self.write(&mut self.state(), &line);
    }

    /// Writes figures: lines for people, or one line of JSON.
    pub(super) fn figures(&self, lines: &[String], figures: &Value) {
        let text = if self.shared.as_json { figures.to_string() } else { lines.join("\n") };
        self.write(&mut self.state(), &text);
    }

    /// Whether somebody still reads.
    ///
    /// # Errors
    /// Nobody does.
    pub(super) fn is_read(&self) -> io::Result<()> {
        self.state().broken.take().map_or(Ok(()), Err)
    }

    fn event(&self, kind: &str, place: Place, what: &str) -> Value {
        let tenths = (self.seconds() * 10.0).round() / 10.0;
        json!({ "event": kind, "s": tenths, "where": place.name(), "what": what })
    }

    fn line(&self, place: Place, what: &str) -> String {
        format!("{:>8.1} s  {:<9} {what}", self.seconds(), format!("{}:", place.name()))
    }

    fn write(&self, state: &mut State, text: &str) {
        if let Err(error) = output::line(text) {
            state.broken = Some(error);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
