//! A block for each transaction: what the market itself takes, in time and memory.

use std::time::Duration;

use t4t_clock::{Clock, SystemClock};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::processes::App;
use url::Url;

use crate::dev::{Dev, ask};
use crate::memory::Memory;
use crate::samples::Samples;
use crate::table::Table;

const JOBS: usize = 100;

/// After how long of doing nothing memory is read first.
const IDLE: Duration = Duration::from_secs(5);

/// How long after the last answer it is read again: by then answers are announced for the last time.
const SETTLE: Duration = Duration::from_secs(25);

/// Measures requests one after the other, and the process's memory before and after.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let dev = Dev::start(home.path(), 0, &backend).await?;
    let app = App::new()?;
    SystemClock.sleep(IDLE).await;
    let idle = Memory::of(&dev.process)?;
    let (_, first) = ask(&app, &dev.base).await?;
    let taken = ask_often(&app, &dev.base).await?;
    SystemClock.sleep(SETTLE).await;
    let later = Memory::of(&dev.process)?;
    let again = ask_often(&app, &dev.base).await?;
    SystemClock.sleep(SETTLE).await;
    let last = Memory::of(&dev.process)?;
    let direct = ask_often(&app, &backend.url()).await?;
    println!("request 1: {:.1} ms", first.as_secs_f64() * 1000.0);
    println!("requests 2 to {}: {taken}", JOBS + 1);
    println!("requests {} to {}: {again}", JOBS + 2, 2 * JOBS + 1);
    println!("the backend asked directly: {direct}");
    println!("ratio: through the market / directly {:.1}", taken.median() / direct.median());
    println!("memory: idle {idle}, {JOBS} jobs later {later}, {} jobs later {last}", 2 * JOBS);
    println!("ratio: memory {JOBS} jobs later / idle {:.2}", later.resident / idle.resident);
    println!("growth of the second {JOBS} jobs: {:.1} MB", last.resident - later.resident);
    table.at_most("version-1 request, a block at once, app to app: median", taken.median(), 100.0, "ms");
    table.at_most("memory, all roles and Swarm nodes in one process, idle", idle.resident, 60.0, "MB");
    table.at_most(format!("memory, growth {JOBS} jobs later"), later.resident - idle.resident, 10.0, "MB");
    dev.stop().await
}

async fn ask_often(app: &App, base: &Url) -> anyhow::Result<Samples> {
    let mut taken = Vec::with_capacity(JOBS);
    for _ in 0..JOBS {
        taken.push(ask(app, base).await?.1);
    }
    Ok(taken.into_iter().collect())
}
