//! What processes take of the machine, from `/proc` and by their own word.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use t4t_testkit::processes::App;
use url::Url;

/// A process that is looked at.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Its name.
    pub(crate) name: String,
    /// Its number.
    pub(crate) id: u32,
    /// Where it says how it does.
    pub(crate) url: Url,
}

/// What a process takes at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Seconds since the start.
    at: f64,
    /// MB (10^6 bytes) of its own memory.
    pub(crate) memory: f64,
    /// Open files, sockets among them. Where the system keeps that to itself, room for them.
    pub(crate) files: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Tasks that are alive.
    pub(crate) tasks: u64,
}

impl Sample {
    async fn of(process: &Observed, app: &App, at: f64) -> anyhow::Result<Self> {
        let tasks = app.tasks(&process.url).await?;
        let path = format!("/proc/{}/status", process.id);
        let status = std::fs::read_to_string(&path).context(path)?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()).context("no such field")?;
            Ok(number.parse()?)
        };
        // The processes keep their files to themselves, from all but root.
        let files = match std::fs::read_dir(format!("/proc/{}/fd", process.id)) {
            Ok(files) => files.count() as u64,
            Err(_) => field("FDSize")?,
        };
        let memory = field("RssAnon")? as f64 * 1024.0 / 1e6;
        Ok(Self { at, memory, files, threads: field("Threads")?, tasks })
    }
}

/// Samples of some processes.
#[derive(Debug)]
pub(crate) struct Samples {
    app: App,
    processes: Vec<Observed>,
    taken: Vec<Vec<Sample>>,
}

impl Samples {
    pub(crate) fn new(app: App, processes: Vec<Observed>) -> Self {
        let taken = processes.iter().map(|_| Vec::new()).collect();
        Self { app, processes, taken }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.processes.iter().map(|process| process.name.as_str())
    }

    pub(crate) async fn take(&mut self, at: Duration) -> anyhow::Result<()> {
        for (process, taken) in self.processes.iter().zip(&mut self.taken) {
            taken.push(Sample::of(process, &self.app, at.as_secs_f64()).await?);
        }
        Ok(())
    }

    /// What they take now.
    pub(crate) async fn now(&self) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for process in &self.processes {
            samples.push(Sample::of(process, &self.app, 0.0).await?);
        }
        Ok(samples)
    }

    /// The first sample after the warm-up; there is one.
    pub(crate) fn warm(&self, number: usize, warm_up: f64) -> Sample {
        let taken = &self.taken[number];
        taken[self.first_warm(number, warm_up)..].first().copied().unwrap_or(taken[0])
    }

    /// Memory over time after the warm-up.
    pub(crate) fn memory(&self, number: usize, warm_up: f64) -> Vec<(f64, f64)> {
        let warm = &self.taken[number][self.first_warm(number, warm_up)..];
        warm.iter().map(|sample| (sample.at, sample.memory)).collect()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small count")]
    fn first_warm(&self, number: usize, warm_up: f64) -> usize {
        (self.taken[number].len() as f64 * warm_up) as usize
    }

    /// Writes all samples down, if somebody wants them.
    pub(crate) fn keep(&self) -> anyhow::Result<()> {
        let Some(path) = std::env::var_os("CHAOS_SOAK_CSV") else { return Ok(()) };
        let mut file = std::fs::File::create(path)?;
        for (Observed { name, .. }, taken) in self.processes.iter().zip(&self.taken) {
            for Sample { at, memory, files, threads, tasks } in taken {
                writeln!(file, "{name},{at:.1},{memory:.3},{files},{threads},{tasks}")?;
            }
        }
        Ok(())
    }
}
