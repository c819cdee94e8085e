//! The release build of `t4t` as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use t4t_testkit::eventually;

use crate::machine;

/// How long a process may take for what is asked of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// `t4t` with a command and nothing in its environment but a home and what finds the chain program.
pub(crate) fn t4t(command: &str, home: &Path) -> Command {
    let mut process = Command::new(T4T);
    process.arg(command).env_clear().env("HOME", home);
    process.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(level) = std::env::var_os("LOG_LEVEL") {
        process.env("LOG_LEVEL", level);
    }
    if let Some(anvil) = anvil() {
        process.env("T4T_ANVIL", anvil);
    }
    process
}

/// The chain program that the contracts' set-up installs; without it `t4t dev` sees to itself.
fn anvil() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    std::env::var_os("T4T_ANVIL").map(PathBuf::from).or(Some(installed)).filter(|path| path.is_file())
}

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; all that it says goes into a file.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let out = std::fs::File::create(&log).context("no log file")?;
        let err = out.try_clone().context("no log file")?;
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().context("t4t did not start")?;
        Ok(Self { child, log })
    }

    /// All that it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until a line of what it says gives something.
    pub(crate) async fn says<T>(&self, what: &str, read: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let said = eventually(PATIENCE, what, async || self.log().lines().find_map(&read)).await;
        said.with_context(|| self.log())
    }

    /// Memory that it holds now and held at most, in MB of 10^6 bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        let megabytes = |name: &str| {
            let value = machine::field(&path, name).with_context(|| format!("{path} has no {name}"))?;
            let Some(kibibytes) = value.strip_suffix(" kB") else { bail!("{path} says {value:?}") };
            Ok(kibibytes.trim().parse::<f64>()? * 1024.0 / 1e6)
        };
        Ok(Memory { now: megabytes("VmRSS")?, most: megabytes("VmHWM")? })
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) most: f64,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that the chain program it started is ended too; then made to.
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _killed = self.child.kill();
        }
        let _ended = self.child.wait();
    }
}
