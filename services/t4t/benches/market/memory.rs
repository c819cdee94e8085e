//! What a process holds.

use std::fmt;

use anyhow::{Context, bail};
use t4t_testkit::processes::Process;

use crate::machine;

/// What a process holds in memory, in MB of 10^6 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it.
    pub(crate) resident: f64,
    /// What is its own and not a part of its program's file.
    anonymous: f64,
}

impl Memory {
    /// Of a process, now.
    pub(crate) fn of(process: &Process) -> anyhow::Result<Self> {
        let path = format!("/proc/{}/status", process.id());
        let megabytes = |name: &str| {
            let value = machine::field(&path, name).with_context(|| format!("{path} has no {name}"))?;
            let Some(kibibytes) = value.strip_suffix(" kB") else { bail!("{path} says {value:?}") };
            Ok(kibibytes.trim().parse::<f64>()? * 1024.0 / 1e6)
        };
        Ok(Self { resident: megabytes("VmRSS")?, anonymous: megabytes("RssAnon")? })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MB ({:.1} without the program)", self.resident, self.anonymous)
    }
}
