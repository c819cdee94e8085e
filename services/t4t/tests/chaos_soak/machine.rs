//! What processes take of the machine, from `/proc`.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;

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
}

impl Sample {
    fn of(process: u32, at: f64) -> anyhow::Result<Self> {
        let path = format!("/proc/{process}/status");
        let status = std::fs::read_to_string(&path).context(path)?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()).context("no such field")?;
            Ok(number.parse()?)
        };
        // The processes keep their files to themselves, from all but root.
        let files = match std::fs::read_dir(format!("/proc/{process}/fd")) {
            Ok(files) => files.count() as u64,
            Err(_) => field("FDSize")?,
        };
        let memory = field("RssAnon")? as f64 * 1024.0 / 1e6;
        Ok(Self { at, memory, files, threads: field("Threads")? })
    }
}

/// Samples of some processes.
#[derive(Debug)]
pub(crate) struct Samples {
    processes: Vec<(String, u32)>,
    taken: Vec<Vec<Sample>>,
}

impl Samples {
    pub(crate) fn new(processes: Vec<(String, u32)>) -> Self {
        let taken = processes.iter().map(|_| Vec::new()).collect();
        Self { processes, taken }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.processes.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn take(&mut self, at: Duration) -> anyhow::Result<()> {
        for ((_, process), taken) in self.processes.iter().zip(&mut self.taken) {
            taken.push(Sample::of(*process, at.as_secs_f64())?);
        }
        Ok(())
    }

    /// What they take now.
    pub(crate) fn now(&self) -> anyhow::Result<Vec<Sample>> {
        self.processes.iter().map(|(_, process)| Sample::of(*process, 0.0)).collect()
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
        for ((name, _), taken) in self.processes.iter().zip(&self.taken) {
            for Sample { at, memory, files, threads } in taken {
                writeln!(file, "{name},{at:.1},{memory:.3},{files},{threads}")?;
            }
        }
        Ok(())
    }
}
