//! Progress of something that takes several steps, on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use indicatif::{ProgressBar, ProgressStyle};

/// How often the terminal's sign of life moves.
const TICK: Duration = Duration::from_millis(100);

/// Steps' names stand in a column of this width.
const NAME_WIDTH: usize = 12;

/// Tells how far something is: a moving line on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Steps {
    started: Instant,
    is_terminal: bool,
}

impl Steps {
    /// Starts the clock.
    pub fn begin() -> Self {
        Self { started: Instant::now(), is_terminal: std::io::stderr().is_terminal() }
    }

    /// Does one step, and says what came of it and how long it took.
    ///
    /// # Errors
    /// Those of the step.
    pub fn step<'a, T: 'a>(
        &'a self,
        name: &'a str,
        doing: &'a str,
        work: impl Future<Output = anyhow::Result<(T, String)>> + 'a,
    ) -> LocalBoxFuture<'a, anyhow::Result<T>> {
        let work = Box::pin(work);
        Box::pin(async move {
            let begun = Instant::now();
            let spinner = self.is_terminal.then(|| spinner(name, doing));
            let done = work.await;
            if let Some(spinner) = spinner {
                spinner.finish_and_clear();
            }
            let (result, said) = done?;
            self.say(&format!("{name:<NAME_WIDTH$}{said} ({} ms)", begun.elapsed().as_millis()));
            Ok(result)
        })
    }

    /// Says something about the work as a whole.
    pub fn say(&self, text: &str) {
        // Progress that nobody sees is no reason to fail.
        let _ = writeln!(std::io::stderr().lock(), "  {text}");
    }

    /// Milliseconds since the start.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn spinner(name: &str, doing: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {prefix}{msg} {elapsed} {spinner}");
    let spinner = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_prefix(format!("{name:<NAME_WIDTH$}"))
        .with_message(doing.to_owned());
    spinner.enable_steady_tick(TICK);
    spinner
}
