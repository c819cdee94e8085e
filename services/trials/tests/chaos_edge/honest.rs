//! Honest apps: they ask for the models and for answers, and their waits are measured.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::processes::{App, ECHO, Question};
use url::Url;

/// Apps that ask for answers at a time.
const CHATTERS: usize = 2;

/// Between two questions for the models.
const PAUSE: Duration = Duration::from_millis(10);

/// How long honest apps waited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    models: Vec<Duration>,
    chats: Vec<Duration>,
}

/// How long 99 of 100 waited at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct P99 {
    pub(crate) models: Duration,
    pub(crate) chats: Duration,
}

impl Waits {
    pub(crate) fn p99(&mut self) -> P99 {
        P99 { models: p99(&mut self.models), chats: p99(&mut self.chats) }
    }

    pub(crate) fn count(&self) -> usize {
        self.models.len() + self.chats.len()
    }
}

fn p99(waits: &mut [Duration]) -> Duration {
    waits.sort_unstable();
    let at = (waits.len() * 99).div_ceil(100).saturating_sub(1);
    waits.get(at).copied().unwrap_or_default()
}

/// Two figures beside each other.
pub(crate) struct Compared {
    pub(crate) before: P99,
    pub(crate) during: P99,
}

impl Compared {
    /// How many times longer the waits are.
    pub(crate) fn ratios(&self) -> (f64, f64) {
        let ratio =
            |during: Duration, before: Duration| during.as_secs_f64() / before.as_secs_f64().max(1e-6);
        (ratio(self.during.models, self.before.models), ratio(self.during.chats, self.before.chats))
    }

    /// Whether neither is more than twice as long, with some slack for a busy machine.
    pub(crate) fn holds(&self, slack: Duration) -> bool {
        self.during.models <= self.before.models * 2 + slack
            && self.during.chats <= self.before.chats * 2 + slack
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (models, chats) = self.ratios();
        write!(
            f,
            "p99 of models {:.1?} → {:.1?} (× {models:.2}), of answers {:.0?} → {:.0?} (× {chats:.2})",
            self.before.models, self.during.models, self.before.chats, self.during.chats
        )
    }
}

/// Has honest apps ask for so long. Each question must be answered.
pub(crate) async fn ask(gateway: &Url, time: Duration) -> anyhow::Result<Waits> {
    let over = Arc::new(AtomicBool::new(false));
    let chatters: Vec<_> =
        (0..CHATTERS).map(|_| tokio::spawn(chat(gateway.clone(), Arc::clone(&over)))).collect();
    let app = App::new()?;
    let ends = Instant::now() + time;
    let mut waits = Waits::default();
    while Instant::now() < ends {
        let began = Instant::now();
        ensure!(!app.models(gateway).await?.is_empty(), "no models");
        waits.models.push(began.elapsed());
        SystemClock.sleep(PAUSE).await;
    }
    over.store(true, Ordering::Relaxed);
    for chatter in chatters {
        waits.chats.extend(chatter.await??);
    }
    Ok(waits)
}

async fn chat(gateway: Url, over: Arc<AtomicBool>) -> anyhow::Result<Vec<Duration>> {
    let (app, mut waits) = (App::new()?, Vec::new());
    while waits.is_empty() || !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        app.ask(&gateway, &Question::new(ECHO, "honestly")).await?.answer()?;
        waits.push(began.elapsed());
    }
    Ok(waits)
}
