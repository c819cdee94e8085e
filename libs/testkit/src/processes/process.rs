//! One process: how it is started, what it says, how it ends.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::eventually;

/// Bytes of a log's end that an error shows.
const SHOWN_BYTES: usize = 12_000;

/// How a process is started, again and again.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name, for logs and errors.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment, but for the search path.
    pub variables: BTreeMap<String, String>,
}

impl Recipe {
    /// A recipe without variables.
    pub fn new(name: &str, program: &Path, arguments: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            variables: BTreeMap::new(),
        }
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }
}

/// A process; it ends with this value.
#[derive(Debug)]
pub struct Process {
    recipe: Recipe,
    log: PathBuf,
    /// Where in the log the present life begins.
    begins: u64,
    child: Child,
}

impl Process {
    /// Starts a process that logs to a file in `folder`.
    ///
    /// # Errors
    /// The program is not there.
    pub fn start(recipe: Recipe, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{}.log", recipe.name));
        let (child, begins) = spawn(&recipe, &[], &log)?;
        Ok(Self { recipe, log, begins, child })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.recipe.name
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said since it was last started.
    pub fn log(&self) -> String {
        read_from(&self.log, self.begins).unwrap_or_default()
    }

    /// What it said in all its lives.
    pub fn whole_log(&self) -> String {
        read_from(&self.log, 0).unwrap_or_default()
    }

    /// The end of what it said in all its lives, with its name.
    pub fn story(&self) -> String {
        let text = self.whole_log();
        let mut from = text.len().saturating_sub(SHOWN_BYTES);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        format!("--- {} ---\n{}", self.recipe.name, &text[from..])
    }

    /// Waits until it says this, and returns what it said since it was last started.
    ///
    /// # Errors
    /// It does not, or it has ended.
    pub async fn says(&mut self, text: &str, limit: Duration) -> anyhow::Result<String> {
        let what = format!("{} to say {text:?}", self.recipe.name);
        let said = eventually(limit, &what, async || {
            let said = self.log();
            (said.contains(text) || !self.is_alive()).then_some(said)
        });
        let said = said.await.with_context(|| self.story())?;
        anyhow::ensure!(
            said.contains(text),
            "{} ended before it said {text:?}\n{}",
            self.recipe.name,
            self.story()
        );
        Ok(said)
    }

    /// Whether it has not ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It does not.
    pub async fn ends(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("the end of {}", self.recipe.name);
        let ended = eventually(limit, &what, async || self.child.try_wait().ok().flatten());
        ended.await.with_context(|| self.story())
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// It does not stop.
    pub async fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let id = self.child.id().to_string();
        if !Command::new("kill").args(["-TERM", &id]).status()?.success() {
            bail!("{} could not be asked to stop", self.recipe.name);
        }
        self.ends(limit).await
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on the same data, with these variables for this life only; ends it first if it lives.
    ///
    /// # Errors
    /// The system refuses.
    pub fn restart(&mut self, variables: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.is_alive() {
            self.kill9()?;
        }
        (self.child, self.begins) = spawn(&self.recipe, variables, &self.log)?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that is gone already can't be ended again.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn spawn(recipe: &Recipe, more: &[(&str, &str)], log: &Path) -> anyhow::Result<(Child, u64)> {
    let out = OpenOptions::new().create(true).append(true).open(log)?;
    let begins = out.metadata()?.len();
    let errors = out.try_clone()?;
    let mut command = Command::new(&recipe.program);
    command.args(&recipe.arguments).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(&recipe.variables).envs(more.iter().copied());
    command.stdin(Stdio::null()).stdout(out).stderr(errors);
    let child = command.spawn().with_context(|| format!("{} can't be started", recipe.program.display()))?;
    Ok((child, begins))
}

fn read_from(path: &Path, begins: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(begins))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
