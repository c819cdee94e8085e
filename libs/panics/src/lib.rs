//! What a panic ends: the request in whose task it happened, or the process.
//!
//! A panic in the work for one request, wrapped in [`contain`], is that request's error, and everybody else's streams go
//! on. It ends the process where it could leave something half-changed: while a [`Lock`] is held, inside [`owned`], and
//! in every task that is not wrapped, which includes each owner (the lane of nonces, the store, a mailbox). A restart is
//! the normal case; a process that goes on with a broken owner is not.

mod contain;
mod lock;

pub use contain::{Panicked, contain, is_contained, owned};
pub use lock::{Lock, LockGuard};
