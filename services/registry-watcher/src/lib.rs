//! All chain reads: providers, offerings, jobs and events, kept in a directory.
//!
//! One look at the chain serves every question:
//!
//! ```text
//!           head and logs in one request
//! chain ───► scanner ──► events about jobs ──► kept in SQLite ──► streams
//!                    └─► events about providers ──► entries read again ──► directory ──► answers
//! ```
//!
//! Events are hints: an entry is read from the contract, as of the block up to which events were taken, and the whole
//! registry is read again from time to time. The directory is kept in memory; after a start it is read anew, while the
//! events about jobs go on from where they stopped. While the chain can't be reached, questions are answered from what
//! is known, and the head's age tells how old that is.

mod config;
mod core;
mod error;
mod follow;
mod jobs;
mod journal;
mod keys;
mod loading;
mod outage;
mod pace;
mod readiness;
mod reading;
mod rota;
mod routes;
mod scanning;
mod service;
mod start;
mod sync;

pub mod directory;
pub mod provider;

pub use config::{WatcherConfig, WatcherDeps};
pub use core::SyncState;
pub use error::StartError;
pub use readiness::watch_chain;
pub use routes::routes;
pub use start::{RegistryWatcherService, Running};
