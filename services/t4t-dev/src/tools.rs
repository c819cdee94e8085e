//! The chain program: found, or installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use t4t_clock::{SystemClock, timeout};
use t4t_runtime::Settings;
use t4t_runtime::config::keys;
use tokio::process::Command;

use super::folder;
use super::programs::{in_path, without_secrets};

/// What npm installs: one pinned version, whose content is checked by its hash.
const PACKAGE: &str = include_str!("../tools/package.json");
const LOCK: &str = include_str!("../tools/package-lock.json");

/// Where it lies then.
const INSTALLED: &str = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";

/// The package is 15 MB.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// Lines of npm's error that are shown.
const SHOWN_LINES: usize = 10;

/// Finds anvil: `T4T_ANVIL`, `PATH`, what was installed before; otherwise installs it into `tools`.
///
/// # Errors
/// It can't be installed; the error says how to get it otherwise.
pub(super) async fn anvil(settings: &Settings, tools: &Path) -> anyhow::Result<(PathBuf, String)> {
    if let Some(path) = settings.get::<PathBuf>(&keys::T4T_ANVIL)? {
        if !path.is_file() {
            bail!("T4T_ANVIL names {}, which is no file", path.display());
        }
        return Ok((path, "T4T_ANVIL".into()));
    }
    if let Some(path) = in_path("anvil", std::env::var_os("PATH").as_deref()) {
        let found = format!("found {}", path.display());
        return Ok((path, found));
    }
    let installed = tools.join(INSTALLED);
    if installed.is_file() {
        return Ok((installed, "installed before".into()));
    }
    install(tools).await?;
    Ok((installed, format!("installed in {}", tools.display())))
}

async fn install(tools: &Path) -> anyhow::Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "anvil is installed by itself on x86-64 Linux only: install Foundry (getfoundry.sh) and start again"
        );
    }
    let Some(npm) = in_path("npm", std::env::var_os("PATH").as_deref()) else {
        bail!(
            "the development chain needs anvil, which is installed with npm, and npm is not there: install Node 20 or \
             newer (nodejs.org, or `apt install nodejs npm`), or Foundry (getfoundry.sh), and start again"
        );
    };
    folder::make(tools)?;
    let _lock = lock(tools).await?;
    if tools.join(INSTALLED).is_file() {
        return Ok(());
    }
    fs::write(tools.join("package.json"), PACKAGE).context("can't write package.json")?;
    fs::write(tools.join("package-lock.json"), LOCK).context("can't write package-lock.json")?;
    run_npm(&npm, tools).await
}

/// Waits for another run that is installing.
async fn lock(tools: &Path) -> anyhow::Result<File> {
    let path = tools.join("lock");
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?;
    locked.with_context(|| format!("can't lock {}", path.display()))
}

async fn run_npm(npm: &Path, tools: &Path) -> anyhow::Result<()> {
    let mut install = Command::new(npm);
    without_secrets(&mut install);
    let install = install
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        .current_dir(tools)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(done) = timeout(&SystemClock, INSTALL_LIMIT, install).await else {
        bail!("npm did not install anvil within {} s: is the network up?", INSTALL_LIMIT.as_secs());
    };
    let done = done.context("npm can't be run")?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said: Vec<&str> = said.lines().take(SHOWN_LINES).collect();
    bail!("npm could not install anvil in {}:\n{}", tools.display(), said.join("\n"))
}
