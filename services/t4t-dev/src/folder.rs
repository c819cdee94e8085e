//! Where `t4t dev` keeps its files, one run at a time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use t4t_runtime::Settings;
use t4t_runtime::config::DataSettings;
use t4t_runtime::lock::{FolderLock, make_private};

use crate::args::DevArgs;

/// Parts of the folder that belong to one run.
const OF_ONE_RUN: [&str; 2] = ["gateway", "provider"];

/// The folder of a run, locked for as long as it is held.
#[derive(Debug)]
pub(crate) struct DevFolder {
    path: PathBuf,
    /// Where programs are kept, which every run can use.
    tools: PathBuf,
    is_temporary: bool,
    _lock: FolderLock,
}

impl DevFolder {
    /// Takes the folder for this run and clears what an earlier one left.
    ///
    /// A check gets a folder of its own, so that it can run beside others.
    ///
    /// # Errors
    /// Another run has it, or it can't be written.
    pub(crate) fn open(args: &DevArgs, settings: &Settings) -> anyhow::Result<Self> {
        let shared = match &args.data {
            Some(folder) => folder.clone(),
            None => DataSettings::from_settings(settings)?.folder.join("dev"),
        };
        let is_temporary = args.check && args.data.is_none();
        let path = if is_temporary { temporary() } else { shared.clone() };
        let lock =
            FolderLock::take(&path).context("`t4t dev` can't have its folder (--data names another)")?;
        let folder = Self { tools: shared.join("tools"), path, is_temporary, _lock: lock };
        folder.clear(args.fresh)?;
        Ok(folder)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of programs.
    pub(crate) fn tools(&self) -> &Path {
        &self.tools
    }

    /// A role's folder.
    pub(crate) fn role(&self, role: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(role);
        make(&path)?;
        Ok(path)
    }

    fn clear(&self, all: bool) -> anyhow::Result<()> {
        let mut doomed: Vec<PathBuf> = OF_ONE_RUN.iter().map(|part| self.path.join(part)).collect();
        if all {
            doomed.push(self.tools.clone());
        }
        for folder in doomed.iter().filter(|folder| folder.exists()) {
            fs::remove_dir_all(folder).with_context(|| format!("can't remove {}", folder.display()))?;
        }
        Ok(())
    }
}

impl Drop for DevFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            // It lies where temporary files do; what stays behind is cleaned up with them.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("t4t-check-{}", std::process::id()))
}

/// Makes a folder that only its owner can read.
pub(super) fn make(path: &Path) -> anyhow::Result<()> {
    make_private(path)
        .with_context(|| format!("can't make the folder {}: name another with --data", path.display()))
}
