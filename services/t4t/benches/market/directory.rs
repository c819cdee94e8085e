//! The watcher's own benchmark, and what of it must be reached.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::table::Table;

/// Runs `cargo bench -p t4t-registry-watcher` and reads its lines: `select …: mean 12.3µs, p99 …`.
pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["bench", "--quiet", "--locked", "-p", "t4t-registry-watcher", "--bench", "directory"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo can't be run")?;
    ensure!(output.status.success(), "the watcher's benchmark failed");
    let said = String::from_utf8(output.stdout)?;
    print!("{said}");
    let select = said.lines().filter(|line| line.starts_with("select "));
    let means: Vec<f64> = select.map(mean).collect::<anyhow::Result<_>>()?;
    let slowest = means.into_iter().reduce(f64::max).context("it selected nothing")?;
    table.at_most("directory of 10,000 providers, slowest select: mean", slowest, 1.0, "ms");
    Ok(())
}

/// The mean of a line, in milliseconds.
fn mean(line: &str) -> anyhow::Result<f64> {
    let found = line.split_once("mean ").and_then(|(_, rest)| rest.split_once(','));
    let (duration, _) = found.with_context(|| format!("no mean in {line:?}"))?;
    let split =
        duration.find(|c: char| c.is_alphabetic() || c == 'µ').context("a duration without a unit")?;
    let (number, unit) = duration.split_at(split);
    let milliseconds = match unit {
        "ns" => 1e-6,
        "µs" => 1e-3,
        "ms" => 1.0,
        _ => 1e3,
    };
    Ok(number.parse::<f64>()? * milliseconds)
}
