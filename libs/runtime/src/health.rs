//! Whether the process lives (`GET /health`) and whether it can do its work (`GET /ready`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::alarm::Alarm;

/// The board on which every component says whether it is ready.
#[derive(Clone, Debug)]
pub struct Readiness {
    version: &'static str,
    /// Where the process's tasks run.
    runtime: Option<Handle>,
    /// By this, not by the time of day, it is told when trouble is said again.
    since: Instant,
    components: Arc<Mutex<BTreeMap<&'static str, Place>>>,
}

#[derive(Debug)]
struct Place {
    state: ComponentState,
    alarm: Alarm,
    /// Whether its trouble is said elsewhere already.
    is_quiet: bool,
}

/// How one component does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentState {
    /// Whether it can do its work.
    pub ready: bool,
    /// Why not; or, of a ready one, what will soon be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// A component's place on the board.
#[derive(Clone, Debug)]
pub struct Component {
    name: &'static str,
    board: Readiness,
}

/// What `/health` shows.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    /// Tasks that are alive: a number that only ever grows is a leak.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<usize>,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    components: BTreeMap<&'static str, ComponentState>,
}

impl Readiness {
    /// An empty board, which is ready; `version` is what `/health` shows. Tasks are counted in the Tokio runtime that
    /// this is called in.
    pub fn new(version: &'static str) -> Self {
        let runtime = Handle::try_current().ok();
        Self { version, runtime, since: Instant::now(), components: Arc::default() }
    }

    /// Adds a component, not ready until it says so.
    pub fn component(&self, name: &'static str) -> Component {
        self.place(name, false)
    }

    /// The same for one whose own log says what is wrong: the board only shows it.
    pub fn quiet_component(&self, name: &'static str) -> Component {
        self.place(name, true)
    }

    fn place(&self, name: &'static str, is_quiet: bool) -> Component {
        let state = ComponentState { ready: false, reason: Some("starting".into()), next_step: None };
        self.lock().entry(name).or_insert(Place { state, alarm: Alarm::default(), is_quiet });
        Component { name, board: self.clone() }
    }

    /// Whether every component is ready.
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(|place| place.state.ready)
    }

    /// How every component does.
    pub fn components(&self) -> BTreeMap<&'static str, ComponentState> {
        self.lock().iter().map(|(name, place)| (*name, place.state.clone())).collect()
    }

    /// Adds `GET /health`, which is 200 while the process lives, and `GET /ready`, which is 503 while a component is
    /// not ready and names it.
    pub fn routes(&self, routes: &mut web::ServiceConfig) {
        let (live, ready) = (self.clone(), self.clone());
        routes.route("/health", web::get().to(move || std::future::ready(live.health())));
        routes.route("/ready", web::get().to(move || std::future::ready(ready.ready())));
    }

    /// The answer to `GET /health`.
    pub fn health(&self) -> HttpResponse {
        let tasks = self.runtime.as_ref().map(|runtime| runtime.metrics().num_alive_tasks());
        HttpResponse::Ok().json(Health { status: "ok", version: self.version, tasks })
    }

    fn ready(&self) -> HttpResponse {
        let components = self.components();
        let ready = components.values().all(|state| state.ready);
        let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
        response.json(Ready { ready, components })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Place>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Trouble is said when it begins, now and then while it lasts, and when it is over.
    fn set(&self, name: &'static str, state: ComponentState) {
        let now_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut places = self.lock();
        let Some(place) = places.get_mut(name) else { return };
        let was_ready = place.state.ready && place.state.reason.is_none();
        place.state = state.clone();
        if place.is_quiet {
            return;
        }
        let Some(reason) = &state.reason else {
            if place.alarm.end() || !was_ready {
                tracing::info!(component = name, "ready");
            }
            return;
        };
        let next_step = state.next_step.as_deref().unwrap_or_default();
        match (place.alarm.raise(next_step, now_ms), state.ready) {
            (true, false) => tracing::error!(component = name, reason, next_step, "not ready"),
            (true, true) => tracing::warn!(component = name, reason, next_step, "ready, but not for long"),
            (false, _) => {}
        }
    }
}

impl Component {
    /// Says that it can do its work.
    pub fn ready(&self) {
        self.board.set(self.name, ComponentState { ready: true, reason: None, next_step: None });
    }

    /// Says that it can't, why, and what to do about it. To be said again and again while it is so: the log has it at
    /// once and then now and then.
    pub fn not_ready(&self, reason: impl Into<String>, next_step: impl Into<String>) {
        let state =
            ComponentState { ready: false, reason: Some(reason.into()), next_step: Some(next_step.into()) };
        self.board.set(self.name, state);
    }

    /// Says that it can do its work still, what will be missing before long, and what to do about it.
    pub fn ready_but(&self, reason: impl Into<String>, next_step: impl Into<String>) {
        let state =
            ComponentState { ready: true, reason: Some(reason.into()), next_step: Some(next_step.into()) };
        self.board.set(self.name, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_is_ready_once_every_component_is() {
        let board = Readiness::new("0");
        assert!(board.is_ready());
        let (chain, bee) = (board.component("chain"), board.component("bee"));
        chain.ready();
        bee.not_ready("no stamp", "buy one");
        assert!(!board.is_ready());
        assert_eq!(board.components()["bee"].next_step.as_deref(), Some("buy one"));
        bee.ready_but("the batch lasts a day", "top it up");
        assert!(board.is_ready());
        assert_eq!(board.components()["bee"].next_step.as_deref(), Some("top it up"));
        bee.ready();
        assert!(board.is_ready());
    }
}
