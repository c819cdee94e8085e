//! A role in a process of its own: started, watched, killed and started again.

use std::fs::OpenOptions;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use t4t_clock::{Clock, SystemClock, timeout};
use t4t_runtime::Settings;
use t4t_runtime::config::{Key, keys};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::super::programs;
use super::teller::{Place, Teller};

/// Settings of the operator's that these roles must not have: they have wallets of their own.
const NOT_PASSED_ON: [&Key; 7] = [
    &keys::T4T_CONFIG,
    &keys::T4T_MODE,
    &keys::WALLET_KEY_FILE,
    &keys::T4T_WALLET_PASSWORD_FILE,
    &keys::T4T_GATEWAY_API_KEY_FILE,
    &keys::T4T_SERVICE_TOKEN_FILE,
    &keys::T4T_RUNNER_TOKEN_FILE,
];

/// How long a role may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a role may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Before the next life: a role that can't start does not use up the machine.
const PAUSE: Duration = Duration::from_millis(300);

/// How often the port is tried.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a role is started.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) place: Place,
    /// The command's argument.
    pub(super) role: &'static str,
    pub(super) settings: Settings,
    /// Where it listens once it works.
    pub(super) port: u16,
    pub(super) log: PathBuf,
}

enum Order {
    Kill,
    Stop,
}

/// A role's process and who watches it. It ends with this value.
#[derive(Debug)]
pub(super) struct RoleProcess {
    orders: mpsc::Sender<Order>,
    is_up: watch::Receiver<bool>,
    watching: JoinHandle<()>,
    log: PathBuf,
    role: &'static str,
}

impl RoleProcess {
    /// Starts a role and waits until it listens.
    ///
    /// # Errors
    /// It does not; the error says where its log is.
    pub(super) async fn start(recipe: Recipe, teller: Teller) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let (log, role) = (recipe.log.clone(), recipe.role);
        let (orders, incoming) = mpsc::channel(8);
        let (up, is_up) = watch::channel(false);
        let watching = tokio::spawn(Watch { recipe, program, teller, up, is_first: true }.run(incoming));
        let mut process = Self { orders, is_up, watching, log, role };
        process.works().await?;
        Ok(process)
    }

    async fn works(&mut self) -> anyhow::Result<()> {
        let log = self.log.display();
        match timeout(&SystemClock, START_LIMIT, self.is_up.wait_for(|is_up| *is_up)).await {
            Ok(Ok(_)) => Ok(()),
            _ => bail!("the {} does not start: its log is {log}", self.role),
        }
    }

    /// Ends it as `kill -9` does; it is started again.
    pub(super) async fn kill(&self) {
        // Who watches it is gone only when it is stopped.
        let _gone = self.orders.send(Order::Kill).await;
    }

    /// Stops it for good.
    pub(super) async fn stop(self) {
        let _gone = self.orders.send(Order::Stop).await;
        if let Err(error) = self.watching.await {
            tracing::warn!(%error, "a role's process was not stopped");
        }
    }
}

struct Watch {
    recipe: Recipe,
    program: PathBuf,
    teller: Teller,
    up: watch::Sender<bool>,
    is_first: bool,
}

impl Watch {
    /// Life after life, until it is told to stop.
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let spawned = spawn(&self.recipe, &self.program);
            let is_over = match spawned {
                Ok(child) => self.life(child, &mut orders).await,
                Err(error) => {
                    self.teller.say(self.recipe.place, &format!("can't be started: {error:#}"));
                    orders.try_recv().is_ok_and(|order| matches!(order, Order::Stop))
                }
            };
            if is_over {
                return;
            }
            SystemClock.sleep(PAUSE).await;
        }
    }

    /// One life; whether it was the last.
    async fn life(&mut self, mut child: Child, orders: &mut mpsc::Receiver<Order>) -> bool {
        let begun = Instant::now();
        let mut is_up = false;
        loop {
            tokio::select! {
                status = child.wait() => {
                    self.down(&format!("ended by itself{}: started again", told(status.ok())));
                    return false;
                }
                order = orders.recv() => match order {
                    Some(Order::Kill) => {
                        // A process that is gone already can't be ended again.
                        let _gone = child.kill().await;
                        self.down("kill -9, started again");
                        return false;
                    }
                    Some(Order::Stop) | None => {
                        end(&mut child).await;
                        return true;
                    }
                },
                () = listens(self.recipe.port), if !is_up => {
                    is_up = true;
                    self.up(begun);
                }
            }
        }
    }

    fn up(&mut self, begun: Instant) {
        if !std::mem::take(&mut self.is_first) {
            let seconds = begun.elapsed().as_secs_f64();
            self.teller.say(self.recipe.place, &format!("works again {seconds:.1} s after its start"));
        }
        self.up.send_replace(true);
    }

    fn down(&self, what: &str) {
        self.up.send_replace(false);
        self.teller.say(self.recipe.place, what);
    }
}

fn told(status: Option<ExitStatus>) -> String {
    status.map(|status| format!(" ({status})")).unwrap_or_default()
}

async fn listens(port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        SystemClock.sleep(LOOK_EVERY).await;
    }
}

/// Asks it to stop, and ends it if it does not.
async fn end(child: &mut Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        // A process that is gone already hears nothing.
        let _gone = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    if timeout(&SystemClock, STOP_LIMIT, child.wait()).await.is_err() {
        tracing::warn!("a role did not stop and is ended");
        let _gone = child.kill().await;
    }
}

fn spawn(recipe: &Recipe, program: &Path) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(&recipe.log);
    let log = log.with_context(|| format!("can't write {}", recipe.log.display()))?;
    let mut command: Command = programs::command(program);
    command.arg(recipe.role).env_clear();
    for name in ["PATH", "HOME"] {
        command.env(name, std::env::var_os(name).unwrap_or_default());
    }
    command.envs(variables(&recipe.settings));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("can't run {}", program.display()))
}

/// All that is set, as variables; no secrets.
fn variables(settings: &Settings) -> Vec<(&'static str, String)> {
    let passed_on =
        |key: &&&'static Key| !key.kind.is_secret() && settings.is_set(key) && !NOT_PASSED_ON.contains(*key);
    let set = keys::ALL.iter().filter(passed_on);
    set.filter_map(|key| Some((key.name, settings.text(key)?.to_owned()))).collect()
}
