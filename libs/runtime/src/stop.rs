//! Being told to stop.
//!
//! The first SIGTERM or SIGINT asks for a graceful stop; the second one ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The exit status after being ended by a second signal, as shells have it for SIGINT.
const INTERRUPTED: i32 = 130;

/// Tells everyone who holds a clone that it is time to stop.
#[derive(Clone, Debug)]
pub struct StopSignal {
    sender: watch::Sender<bool>,
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::new()
    }
}

impl StopSignal {
    /// A signal that nobody has given yet.
    pub fn new() -> Self {
        Self { sender: watch::Sender::new(false) }
    }

    /// A signal that is given when the process is asked to stop (SIGTERM, SIGINT); asked twice, it ends at once.
    ///
    /// # Errors
    /// The system refuses to register the handlers.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(listen(stop.clone(), terminate, interrupt));
        Ok(stop)
    }

    /// Gives the signal.
    pub fn stop(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it was given.
    pub fn is_stopping(&self) -> bool {
        *self.sender.borrow()
    }

    /// Returns once it is given; at once if it was.
    pub async fn stopped(&self) {
        let mut receiver = self.sender.subscribe();
        receiver.wait_for(|stopping| *stopping).await.expect("this clone keeps the sender alive");
    }

    /// Runs `work` until it ends or the signal is given; `None` if it was cut short.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            done = work => Some(done),
        }
    }
}

async fn listen(stop: StopSignal, mut terminate: Signal, mut interrupt: Signal) {
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_stopping() {
            tracing::warn!("asked to stop again: ending at once");
            std::process::exit(INTERRUPTED);
        }
        tracing::info!("stopping; ask again to end at once");
        stop.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_the_signal_also_after_it_was_given() {
        let stop = StopSignal::new();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.stopped().await }
        });
        assert!(!stop.is_stopping());
        stop.stop();
        waiting.await.unwrap();
        stop.clone().stopped().await;
        assert!(stop.is_stopping());
    }

    #[tokio::test]
    async fn work_is_cut_short_by_the_signal() {
        let stop = StopSignal::new();
        assert_eq!(stop.unless_stopped(async { 1 }).await, Some(1));
        stop.stop();
        assert_eq!(stop.unless_stopped(std::future::pending::<()>()).await, None);
    }
}
