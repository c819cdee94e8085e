//! The process itself: its runtime and its end.

use std::io;

/// Threads that run what is spawned, beside the main thread and those of the mailboxes.
const MAX_WORKERS: usize = 8;

/// Makes a panic end the process with a line in the log that says where.
///
/// The panic's text is left out: it may hold what was being worked on. Release builds abort on a panic by themselves;
/// this does the same for all others.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
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
