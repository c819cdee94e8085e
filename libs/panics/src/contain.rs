//! Where a panic may end less than the process.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;

thread_local! {
    /// How many contained futures this thread is polling, one inside the other.
    static CONTAINED: Cell<u32> = const { Cell::new(0) };
    /// How many changes of owners this thread is in the middle of.
    static OWNED: Cell<u32> = const { Cell::new(0) };
}

/// The work for one request panicked. What it said is left out: it may hold what was being worked on; the log says
/// where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this request made the program fail; the log says where")]
pub struct Panicked;

/// Whether a panic now ends a request and not the process.
pub fn is_contained() -> bool {
    CONTAINED.get() > 0 && OWNED.get() == 0
}

/// Runs the work for one request: a panic in it is its end and nobody else's.
///
/// # Errors
/// [`Panicked`]
pub async fn contain<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    // Whatever the work shared with others is behind a lock, and a panic under a lock ends the process.
    AssertUnwindSafe(Contained(Box::pin(work))).catch_unwind().await.map_err(|_| Panicked)
}

/// Changes what many requests depend on: a panic in here ends the process.
pub fn owned<T>(change: impl FnOnce() -> T) -> T {
    let _owned = Depth::of(&OWNED);
    change()
}

struct Contained<F>(Pin<Box<F>>);

impl<F: Future> Future for Contained<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _contained = Depth::of(&CONTAINED);
        self.0.as_mut().poll(context)
    }
}

/// Counts up while it lives, also where a panic unwinds.
pub(crate) struct Depth(&'static std::thread::LocalKey<Cell<u32>>);

impl Depth {
    fn of(counter: &'static std::thread::LocalKey<Cell<u32>>) -> Self {
        counter.set(counter.get() + 1);
        Self(counter)
    }

    /// While it lives, a panic ends the process.
    pub(crate) fn of_owner() -> Self {
        Self::of(&OWNED)
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_requests_work_is_that_requests_error() {
        std::panic::set_hook(Box::new(|_| assert!(is_contained())));
        assert_eq!(contain(async { 7 }).await, Ok(7));
        let work = async {
            tokio::task::yield_now().await;
            assert!(is_contained());
            panic!("a secret");
        };
        let panicked: Result<(), Panicked> = contain(work).await;
        assert!(!panicked.unwrap_err().to_string().contains("secret"));
        assert!(!is_contained(), "elsewhere a panic ends the process");
        let _hook = std::panic::take_hook();
    }

    #[tokio::test]
    async fn a_panic_in_the_middle_of_an_owners_change_is_not_contained() {
        let inside = contain(async { (owned(is_contained), is_contained()) }).await;
        assert_eq!(inside, Ok((false, true)));
    }
}
