//! A Bee-compatible development node with fault injection.
//!
//! Several logical nodes in one process, each with keys, an overlay and a port of its own; they share one chunk
//! store. Messages are real trojan chunks that are opened with the recipient's key, batches count real buckets, and
//! statuses and texts of errors are those of Bee 2.8.1. There is no chain and no network behind it: a transaction
//! always succeeds, and an upload is on every node at once unless a fault says otherwise.
//!
//! Where a real node leaves a choice open, this one decides: content uploaded with a redundancy level above 0 gets the
//! tree, the parity chunks and the copies of the root that it would get there, but the parity chunks recover nothing,
//! and where no level is named it is 0; a single-owner chunk written twice keeps the newer content; updates of single-owner chunks
//! are delivered on every upload; a message reaches the nodes that share the storage radius' bits with its chunk.

mod config;
mod faults;
mod network;
mod routes;
mod server;

pub use config::BeeDevConfig;
pub use faults::{CutOff, FaultHandle, Faults, Frozen, HiddenBatches, InjectedError, Light, StampsEnd};
pub use server::{BeeDev, StartError};
