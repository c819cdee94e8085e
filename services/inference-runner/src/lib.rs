//! One runner per GPU or backend: lists models, runs requests, streams tokens, reports load.
//!
//! It owns the backends' addresses and keys; nobody else ever sees them. It does not know money or peers: it runs what
//! it is asked to run, within the limits it is given, and says what may be billed (the module `metering` has the rule).
//!
//! ```text
//! open(RunInference) ─► slot ─► task: request ─► backend ─► feed (sse, JSON) ─► chunk (mend) ─► assembly ─► Piece::End
//!                                             └ next backend, until the first chunk ┘          └ metering
//! file ─► discovery (listing, details) ─► directory (names, health) ─► GetRunnerStatus, registration with the dispatcher
//! ```

mod asking;
mod assembly;
mod backend;
mod catalogue;
mod choice;
mod chunk;
mod config;
mod details;
mod directory;
mod discovery;
mod ending;
mod endpoints;
mod error;
mod examine;
mod feed;
mod file;
mod finishing;
mod listing;
mod mend;
mod metering;
mod naming;
mod parts;
mod patience;
mod raw_object;
mod registration;
mod request;
mod run;
mod running;
mod service;
mod tool_calls;
mod transcript;
mod weight;

pub mod sse;

pub use config::{RunnerConfig, RunnerLimits};
pub use endpoints::{Endpoint, Endpoints, EndpointsError, ModelTerms};
pub use error::StartError;
pub use examine::{Examined, examine};
pub use running::{Runner, RunnerDeps, Running};
