//! A small app that asks one request a second, as apps do whose connections break: again, with the same key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use t4t_clock::{Clock, SystemClock, timeout};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::app::{App, Bought, Reply, as_stream, streamed, whole};
use super::teller::{Place, Teller};

/// Requests that wait at a time; while there are more, none is asked.
const AT_ONCE: usize = 16;

/// How long a request may take, with all its tries. The deadline on the chain is a minute.
const LIMIT: Duration = Duration::from_secs(200);

/// Before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Streams that break off or end with an error are asked for again, by their key, so often.
const STREAM_TRIES: u32 = 3;

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) answered: u64,
    /// Told why not.
    pub(super) refused: u64,
    /// Answered with something else than what was asked.
    pub(super) wrong: u64,
    /// Never told anything.
    pub(super) hung: u64,
    pub(super) slowest_ms: u64,
}

impl Tally {
    /// Requests that wait.
    pub(super) fn waiting(self) -> u64 {
        self.asked.saturating_sub(self.answered + self.refused + self.wrong + self.hung)
    }
}

/// How one request ends.
enum End {
    Answered,
    Refused(String),
    Wrong(String),
}

/// The app; dropped, it asks nothing more.
#[derive(Debug)]
pub(super) struct SmallApp {
    shared: Arc<Shared>,
    requests: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    app: App,
    teller: Teller,
    tally: Mutex<Tally>,
    places: Arc<Semaphore>,
    /// Whether answers repeat the question.
    is_demo: bool,
    seed: u64,
}

impl SmallApp {
    pub(super) fn new(app: App, teller: Teller, is_demo: bool, seed: u64) -> Self {
        let (tally, places) = (Mutex::default(), Arc::new(Semaphore::new(AT_ONCE)));
        let shared = Arc::new(Shared { app, teller, tally, places, is_demo, seed });
        Self { shared, requests: JoinSet::new() }
    }

    /// Asks one request, unless too many wait.
    pub(super) fn ask(&mut self) {
        while self.requests.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&self.shared.places).try_acquire_owned() else { return };
        let shared = Arc::clone(&self.shared);
        let number = {
            let mut tally = shared.tally();
            tally.asked += 1;
            tally.asked
        };
        self.requests.spawn(async move {
            shared.settle(number).await;
            drop(place);
        });
    }

    /// What became of the requests so far.
    pub(super) fn tally(&self) -> Tally {
        *self.shared.tally()
    }

    /// Waits for the requests on their way.
    pub(super) async fn finish(&mut self) -> Tally {
        while self.requests.join_next().await.is_some() {}
        self.tally()
    }
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self, number: u64) {
        let begun = Instant::now();
        let end = timeout(&SystemClock, LIMIT, self.until_told(number)).await;
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut tally = self.tally();
        tally.slowest_ms = tally.slowest_ms.max(ms);
        let said = match end {
            Ok(End::Answered) => {
                tally.answered += 1;
                return;
            }
            Ok(End::Refused(why)) => {
                tally.refused += 1;
                format!("request {number} was refused: {why}")
            }
            Ok(End::Wrong(what)) => {
                tally.wrong += 1;
                format!("request {number} got a wrong answer: {what}")
            }
            Err(_) => {
                tally.hung += 1;
                format!("request {number} heard nothing within {} s", LIMIT.as_secs())
            }
        };
        drop(tally);
        self.teller.say(Place::App, &said);
    }

    /// Asks until there is an answer, or an error that another try does not help.
    async fn until_told(&self, number: u64) -> End {
        let (text, key) = (format!("question {number}"), format!("chaos-{}-{number}", self.seed));
        let is_stream = number.is_multiple_of(2);
        let options = if is_stream { as_stream() } else { json!({}) };
        let mut broken = 0;
        loop {
            if let Ok(reply) = self.app.send(&text, &options, Some(&key)).await
                && let Some(end) = self.end(&text, is_stream, &mut broken, reply)
            {
                return end;
            }
            SystemClock.sleep(PAUSE).await;
        }
    }

    fn end(&self, text: &str, is_stream: bool, broken: &mut u32, reply: Reply) -> Option<End> {
        let status = reply.status;
        if status.is_success() {
            let bought = if is_stream { streamed(reply.body) } else { whole(&reply.body) };
            return match bought {
                Err(error) if is_stream => {
                    *broken += 1;
                    (*broken > STREAM_TRIES).then(|| End::Refused(format!("{error:#}")))
                }
                Err(error) => Some(End::Wrong(format!("{error:#}"))),
                Ok(bought) => Some(self.judged(text, &bought)),
            };
        }
        let message = serde_json::from_slice::<serde_json::Value>(&reply.body).ok()?;
        let message = message["error"]["message"].as_str().unwrap_or("without a word");
        let is_for_later = matches!(status.as_u16(), 429 | 503 | 504);
        (!is_for_later).then(|| End::Refused(format!("{} {message}", status.as_u16())))
    }

    fn judged(&self, text: &str, bought: &Bought) -> End {
        let judge = || {
            ensure!(!bought.content.is_empty(), "an empty answer");
            ensure!(!self.is_demo || bought.content.contains(text), "not the one to {text:?}");
            ensure!(bought.usage.total() > 0, "an answer that counts no tokens");
            anyhow::Ok(())
        };
        judge().map_or_else(|error| End::Wrong(format!("{error:#}")), |()| End::Answered)
    }
}
