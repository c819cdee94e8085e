//! A lock under which a panic ends the process.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::contain::Depth;

/// A lock around what several requests share. A panic while it is held ends the process, so nobody ever finds it
/// poisoned or half-changed.
#[derive(Default)]
pub struct Lock<T>(Mutex<T>);

/// What is locked. Not to be held across a wait.
pub struct LockGuard<'a, T> {
    // The lock opens before a panic may be contained again.
    guard: MutexGuard<'a, T>,
    _owner: Depth,
}

impl<T> Lock<T> {
    /// Puts a lock around a value.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits until nobody else holds it.
    pub fn lock(&self) -> LockGuard<'_, T> {
        let _owner = Depth::of_owner();
        LockGuard { guard: self.0.lock().unwrap_or_else(PoisonError::into_inner), _owner }
    }

    /// The value, once nobody shares it.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contain::{contain, is_contained};

    #[tokio::test]
    async fn a_panic_under_a_lock_is_not_contained() {
        let lock = Lock::new(1);
        let seen = contain(async {
            let held = { (*lock.lock(), is_contained()) };
            let under = {
                let mut guard = lock.lock();
                *guard += 1;
                is_contained()
            };
            (held.0, under, is_contained())
        });
        assert_eq!(seen.await, Ok((1, false, true)));
        assert_eq!(lock.into_inner(), 2);
    }
}
