//! A process's memory: no core file is written, and its own user can't read it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use t4t_testkit::anvil::dev_key;
use t4t_testkit::chaos::Row;
use t4t_testkit::eventually;
use t4t_testkit::processes::{PATIENCE, Process, Recipe, World, WorldConfig};
use t4t_testkit::secrets::{Secrets, no_secret};

use super::files::private;
use super::{ROW, T4T};

/// A user who owns nothing; tests that run as root take its part.
const NOBODY: u32 = 65_534;

/// The signals with which faulty programs end.
pub(crate) const FATAL: [&str; 2] = ["-SEGV", "-ABRT"];

/// Lets the processes that are started from here on write core files, so that those which do not are seen not to.
pub(crate) fn allow_core_files() {
    static ALLOWED: Once = Once::new();
    ALLOWED.call_once(|| {
        let maximum = getrlimit(Resource::Core).maximum;
        setrlimit(Resource::Core, Rlimit { current: maximum, maximum })
            .expect("a limit may be raised to its maximum");
    });
}

/// Whether this system lets any process write a core file; where it does not, none is written for that reason alone.
pub(crate) fn core_files_are_allowed() -> bool {
    getrlimit(Resource::Core).maximum != Some(0)
}

/// Sends a process a signal.
pub(crate) fn signal(process: u32, signal: &str) -> anyhow::Result<()> {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status()?;
    ensure!(sent.success(), "{signal} can't be sent");
    Ok(())
}

/// Ends a process as a fault of its own would, and checks that it leaves no core file.
pub(crate) async fn ends_without_core(process: &mut Process, fatal: &str) -> anyhow::Result<()> {
    let id = process.id();
    // A first SIGSEGV that is sent looks like a full stack that is none; the next one ends the process.
    let ended = eventually(PATIENCE, "its end", async || {
        signal(id, fatal).ok();
        (!process.is_alive()).then_some(())
    });
    ended.await?;
    let status = process.ends(PATIENCE).await?;
    ended_without_core(status, fatal).with_context(|| process.name().to_owned())
}

fn ended_without_core(status: ExitStatus, fatal: &str) -> anyhow::Result<()> {
    ensure!(status.signal().is_some(), "{fatal} ended it with {status}");
    ensure!(!status.core_dumped(), "{fatal} left a core file: {status}");
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as nobody where this test runs as root.
fn plain_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null());
    command
}

/// A process of the plain user, which ends with this value.
struct Plain(Child);

impl Drop for Plain {
    fn drop(&mut self) {
        // A process that is gone already can't be ended again.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Whether the plain user can read a file of the process; what was read.
fn reads(process: u32, file: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let read = plain_user("head").args(["-c", "65536", &format!("/proc/{process}/{file}")]).output()?;
    let refused = String::from_utf8_lossy(&read.stderr).contains("Permission denied");
    Ok((!refused).then_some(read.stdout))
}

#[actix_web::test]
async fn its_own_user_reads_no_memory_and_gets_no_core_file() -> anyhow::Result<()> {
    allow_core_files();
    let world = World::start(WorldConfig::new(T4T)).await?;
    let home = tempfile::tempdir()?;
    let key = dev_key(1).secret_bytes();
    let text = format!("0x{}", hex::encode(key.as_slice()));
    let program = home.path().join("t4t");
    fs::copy(T4T, &program)?;
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
    let control = control()?;
    let mut runs = 0;
    for fatal in FATAL {
        let folder = home.path().join(fatal);
        fs::create_dir(&folder)?;
        private(&folder.join("wallet.key"), &text)?;
        for owned in [folder.clone(), folder.join("wallet.key")] {
            if is_root() {
                chown(owned, Some(NOBODY), Some(NOBODY))?;
            }
        }
        let mut gateway = start(&world, &program, &folder)?;
        let process = gateway.0.id();
        let log = folder.join("log");
        let ready = eventually(PATIENCE, "a gateway", async || {
            fs::read_to_string(&log).ok()?.contains("gateway started").then_some(())
        });
        ready.await.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        for file in ["environ", "maps", "mem"] {
            ensure!(reads(process, file)?.is_none(), "its user can read /proc/PID/{file}");
        }
        let ended = eventually(PATIENCE, "its end", async || {
            signal(process, fatal).ok();
            gateway.0.try_wait().ok().flatten()
        });
        let status = ended.await?;
        ended_without_core(status, fatal)?;
        let secrets = Secrets::new().key("the wallet's key", &key);
        no_secret(&secrets.in_folder(&folder)?)?;
        runs += 1;
    }
    let found = format!("environ, maps and mem refused to the own user; {control}");
    Row::new(ROW, "a process's memory as its own user", runs, found).report()?;
    let tried = "SIGSEGV and SIGABRT with core files allowed";
    if !core_files_are_allowed() {
        return Row::new(ROW, tried, 0, "not shown: this system's hard limit of core files is 0").report();
    }
    Row::new(ROW, tried, runs, "0 core files").report()
}

fn start(world: &World, program: &Path, folder: &Path) -> anyhow::Result<Plain> {
    let mut recipe = Recipe::new("plain", program, &[]);
    world.connect(&mut recipe, 0)?;
    let log = fs::File::create(folder.join("log"))?;
    let mut command = plain_user(program);
    command.arg("gateway").env_clear().envs(&recipe.variables).current_dir(folder);
    command
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("T4T_DATA_DIR", folder)
        .env("T4T_GATEWAY_PORT", "0");
    Ok(Plain(command.stdout(log.try_clone()?).stderr(log).spawn()?))
}

/// What another program of the same user shows and leaves here, so that it is known what the refusals above mean.
fn control() -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    if is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
    }
    let mut sleeper =
        Plain(plain_user("sleep").arg("600").current_dir(folder.path()).env("CONTROL", "yes").spawn()?);
    let process = sleeper.0.id();
    let environ = reads(process, "environ")?.unwrap_or_default();
    ensure!(!environ.is_empty(), "the system shows its user no process at all, so this test shows nothing");
    signal(process, "-SEGV")?;
    let dumped =
        if sleeper.0.wait()?.core_dumped() { "leaves one" } else { "leaves none on this system either" };
    Ok(format!("another program is readable and {dumped}"))
}
