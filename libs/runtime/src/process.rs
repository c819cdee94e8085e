//! The process itself: what it may do from its first line on, its runtime and its end.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Threads that run what is spawned, beside the main thread and those of the mailboxes.
const MAX_WORKERS: usize = 8;

/// More open files than any role needs.
const MOST_OPEN_FILES: u64 = 65_536;

/// What each program calls first: keeps keys out of core files and out of other processes' sight, takes as many open
/// files as the system gives, and decides what a panic ends.
///
/// From then on no core file is written whatever ends the process, and on Linux nobody but root can read the process's
/// memory or environment (`/proc/PID/mem`, `/proc/PID/environ`) or trace it, not even its own user. Both hold for the
/// whole life of the process; a program that it starts can be traced again, but writes no core file either.
pub fn begin() {
    forbid_core_files();
    raise_open_files();
    end_on_panic();
}

fn forbid_core_files() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A limit can always be lowered. Should a system refuse, the next line still holds.
    let _refused = setrlimit(Resource::Core, none);
    // A core file that is piped into a program has no limit, but a process like this one has none either.
    #[cfg(target_os = "linux")]
    let _refused = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Shells and service managers start programs with 1,024 files although they would give many more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(MOST_OPEN_FILES, |most| most.min(MOST_OPEN_FILES));
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    // Where it is refused, the servers take fewer connections.
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
}

/// How many files this process may have open; [`usize::MAX`] where there is no limit.
pub fn max_open_files() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Makes a panic end the process, unless it ends the one request in whose work it happened; with a line in the log that
/// says where. The panic's text is left out: it may hold what was being worked on.
fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if t4t_panics::is_contained() {
            tracing::error!(
                place,
                "the program failed at one request: the request ends, everything else goes on"
            );
            return;
        }
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(
            place,
            thread,
            "the program failed in a way that it should not: ending, so that it is restarted"
        );
        std::process::abort();
    }));
}

/// Runs `main` on the process's runtime and returns what it returns.
///
/// Spawned work runs on several threads; `main` itself stays on this one, where mailboxes are started from.
///
/// # Errors
/// The system gives no threads.
pub fn run<T>(main: impl Future<Output = T>) -> io::Result<T> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, MAX_WORKERS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    Ok(actix::System::with_tokio_rt(move || runtime).block_on(main))
}
