//! How much memory a process took at its worst.

use std::fs;

use anyhow::Context;

/// Bytes in a mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

/// A process watched from a moment on.
pub(crate) struct Watched {
    process: u32,
    held: u64,
    peak: u64,
}

impl Watched {
    /// Begins.
    pub(crate) fn begin(process: u32) -> anyhow::Result<Self> {
        // Sets the peak back to what is held; where that is not allowed, only a higher peak than all before shows.
        let _reset = fs::write(format!("/proc/{process}/clear_refs"), "5");
        let (held, peak) = read(process)?;
        Ok(Self { process, held, peak })
    }

    /// By how many bytes it grew at most since then.
    pub(crate) fn growth(&self) -> anyhow::Result<u64> {
        let (held, peak) = read(self.process)?;
        let most = if peak > self.peak { peak } else { held };
        Ok(most.saturating_sub(self.held))
    }
}

/// What a process holds now and held at most, in bytes.
fn read(process: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Ok((bytes("VmRSS:").context("no VmRSS")?, bytes("VmHWM:").context("no VmHWM")?))
}
