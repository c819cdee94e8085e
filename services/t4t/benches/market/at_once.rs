//! A block for each transaction: what the market itself takes, in time and memory.

use std::time::Duration;

use t4t_clock::{Clock, SystemClock};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};

use crate::app::{App, Dev};
use crate::samples::Samples;
use crate::table::Table;

const JOBS: usize = 100;

/// After how long of doing nothing memory is read first.
const IDLE: Duration = Duration::from_secs(5);

/// How long after the last answer it is read again: claims and closed connections are through by then.
const SETTLE: Duration = Duration::from_secs(10);

/// Measures requests one after the other, and the process's memory before and after.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let dev = Dev::start(home.path(), 0, &backend).await?;
    SystemClock.sleep(IDLE).await;
    let idle = dev.process.memory()?;
    let first = dev.app.ask().await?.took;
    let taken = ask_often(&dev.app).await?;
    SystemClock.sleep(SETTLE).await;
    let later = dev.process.memory()?;
    let again = ask_often(&dev.app).await?;
    SystemClock.sleep(SETTLE).await;
    let last = dev.process.memory()?;
    let direct = ask_often(&App::new(backend.url().as_str())?).await?;
    println!("first request {:.1} ms", first.as_secs_f64() * 1000.0);
    println!("requests 2 to 101: {taken}");
    println!("requests 102 to 201: {again}");
    println!("the backend asked directly: {direct}");
    println!("ratio: through the market / directly {:.1}", taken.median() / direct.median());
    println!(
        "memory: idle {:.1} MB, {JOBS} jobs later {:.1}, {} jobs later {:.1}, most {:.1}",
        idle.now,
        later.now,
        2 * JOBS,
        last.now,
        last.most
    );
    println!("ratio: memory {JOBS} jobs later / idle {:.2}", later.now / idle.now);
    table.at_most("version-1 request, a block at once, app to app: median", taken.median(), 100.0, "ms");
    table.at_most("memory, all roles and nodes in one process, idle", idle.now, 60.0, "MB");
    table.at_most(format!("memory, growth {JOBS} jobs later"), later.now - idle.now, 10.0, "MB");
    Ok(())
}

async fn ask_often(app: &App) -> anyhow::Result<Samples> {
    let mut taken = Vec::with_capacity(JOBS);
    for _ in 0..JOBS {
        taken.push(app.ask().await?.took);
    }
    Ok(taken.into_iter().collect())
}
