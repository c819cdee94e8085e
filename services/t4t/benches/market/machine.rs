//! What the figures were taken on.

use std::fs::read_to_string;

/// Processor, memory, system and load.
pub(crate) fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "machine: {}, {cores} cores, {} GB of memory, Linux {}, load {}",
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into()),
        memory_gigabytes().unwrap_or_default(),
        read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        load(),
    )
}

/// Processes that wanted to run in the last minute, on average: above the number of cores, figures are worse than the
/// program.
pub(crate) fn load() -> String {
    let loads = read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or("unknown").to_owned()
}

/// A line `name: value` of a file of the system.
pub(crate) fn field(path: &str, name: &str) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn memory_gigabytes() -> Option<u64> {
    let total = field("/proc/meminfo", "MemTotal")?;
    Some(total.split(' ').next()?.parse::<u64>().ok()? / 1_000_000)
}
