//! A job a second for a long time, with one request in a hundred going wrong at the chain, at Swarm and at the backend:
//! memory, files, threads and tasks stay, every app is told, and the books are exact.
//!
//! `CHAOS_SOAK_SECONDS=n` says how long; otherwise 20 seconds, or two hours with `CHAOS=full`. `CHAOS_SEED=n` throws
//! other dice, `CHAOS_SOAK_CSV=file` keeps every sample, `CHAOS_SOAK_PACE_MS=100` asks ten times a second.

mod line;
mod machine;
mod market;
mod traffic;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::chaos::{Form, Row, seed};
use t4t_testkit::processes::PATIENCE;

use self::line::Line;
use self::machine::{Sample, Samples};
use self::market::Market;
use self::traffic::Traffic;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// The number of this row in the table.
const ROW: u8 = 13;

/// Seconds of the short and the full form.
const SECONDS: (u32, u32) = (20, 7200);

/// Between two jobs.
const PACE: Duration = Duration::from_secs(1);

/// Between two looks at the processes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The part of the time that counts as warming up.
const WARM_UP: f64 = 0.4;

/// Below this a process does not grow, in MB an hour.
const FLAT: f64 = 1.0;

/// From this on, a slope says something: seconds measured after the warm-up.
const TELLING: f64 = 3600.0;

/// What a process may take after the warm-up in a run that is too short for a slope, in MB.
const SETTLING: f64 = 16.0;

/// Files, threads and tasks that a process may have more at the end than when it was warm: connections that are kept open.
const MORE: u64 = 24;

/// How long idle connections may take to go.
const IDLE: Duration = Duration::from_secs(100);

#[actix_web::test]
async fn a_job_a_second_with_faults_leaves_nothing_behind() -> anyhow::Result<()> {
    let seconds = match std::env::var("CHAOS_SOAK_SECONDS") {
        Ok(text) => text.parse().context("CHAOS_SOAK_SECONDS")?,
        Err(_) => u64::from(Form::from_env().runs(SECONDS.0, SECONDS.1)?),
    };
    let pace = match std::env::var("CHAOS_SOAK_PACE_MS") {
        Ok(text) => Duration::from_millis(text.parse().context("CHAOS_SOAK_PACE_MS")?),
        Err(_) => PACE,
    };
    let mut market = Market::start(seed()?).await?;
    let ended = Box::pin(soak(&mut market, Duration::from_secs(seconds), pace)).await;
    ended.with_context(|| market.stories())
}

async fn soak(market: &mut Market, lasts: Duration, pace: Duration) -> anyhow::Result<()> {
    market.warm_up().await?;
    let mut samples = Samples::new(market.app(), market.processes().await?);
    market.go_wrong();
    let mut traffic = Traffic::new(market.app(), market.url().await?);
    let began = Instant::now();
    let mut looked: Option<Instant> = None;
    while began.elapsed() < lasts {
        let next = began + pace * u32::try_from(traffic.asked() + 1)?;
        traffic.ask();
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            samples.take(began.elapsed()).await?;
            looked = Some(Instant::now());
        }
        ensure!(market.is_alive(), "a process ended");
        SystemClock.sleep(next.saturating_duration_since(Instant::now())).await;
    }
    let told = traffic.all_told().await?;
    samples.keep()?;
    market.heal();
    let jobs = market.closed(told.asked).await?;
    let idle = calm_down(&samples).await?;
    let mut found = format!(
        "{} of {} answered, {} told otherwise, {} jobs, slowest {:.1} s, {} faults; ledger exact",
        told.answered,
        told.asked,
        told.asked - told.answered,
        jobs,
        told.slowest.as_secs_f64(),
        market.faults()
    );
    for (number, name) in samples.names().enumerate() {
        let (text, is_flat) = judge(&samples, number, idle[number]);
        found.push_str(&format!("; {name}: {text}"));
        ensure!(is_flat, "{name} grows: {text}");
    }
    Row::new(ROW, "a job a second with 1 % random faults", told.asked, found).report()
}

/// Waits until what is kept open for a while is closed.
async fn calm_down(samples: &Samples) -> anyhow::Result<Vec<Sample>> {
    let began = Instant::now();
    loop {
        let now = samples.now().await?;
        let is_calm = now.iter().enumerate().all(|(number, now)| {
            let warm = samples.warm(number, WARM_UP);
            has_no_more(now, &warm)
        });
        if is_calm || began.elapsed() > IDLE.max(PATIENCE) {
            return Ok(now);
        }
        SystemClock.sleep(LOOK_EVERY).await;
    }
}

/// Whether a process has as few files, threads and tasks as when it was warm.
fn has_no_more(now: &Sample, warm: &Sample) -> bool {
    let fits = |now, warm| now <= warm + MORE;
    fits(now.files, warm.files) && fits(now.threads, warm.threads) && fits(now.tasks, warm.tasks)
}

/// What a process did, and whether it stays as it is.
fn judge(samples: &Samples, number: usize, idle: Sample) -> (String, bool) {
    let warm = samples.warm(number, WARM_UP);
    let line = Line::through(&samples.memory(number, WARM_UP));
    let grown = line.slope * line.seconds / 3600.0;
    let text = format!(
        "{:.1} MB when warm, {:+.1} MB/h (± {:.1}, over {:.0} s), files {} → {}, threads {} → {}, tasks {} → {}",
        warm.memory,
        line.slope,
        line.uncertainty,
        line.seconds,
        warm.files,
        idle.files,
        warm.threads,
        idle.threads,
        warm.tasks,
        idle.tasks
    );
    let memory_is_flat =
        if line.seconds >= TELLING { line.slope - line.uncertainty < FLAT } else { grown < SETTLING };
    let is_flat = memory_is_flat && has_no_more(&idle, &warm);
    (text, is_flat)
}
