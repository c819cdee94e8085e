//! One runner per GPU or backend: lists models, runs requests, streams tokens, reports load.
//!
//! It owns the backends' addresses and keys; nobody else ever sees them. It does not know money or peers: it runs what
//! it is asked to run, within the limits it is given, and says what may be billed (the module `metering` has the rule).
//!
//! ```text
//! open(RunInference) ─► slot ─► task: request ─► backend ─► feed (sse, JSON) ─► event (repair) ─► transcript ─► Piece
//!                                             └ next backend, until the first chunk ┘          └ metering
//! file ─► discovery (listing, details) ─► directory (names, health) ─► GetRunnerStatus, registration with the dispatcher
//! ```

mod asking;
mod backend;
mod catalogue;
mod config;
mod deadline;
mod details;
mod directory;
mod discovery;
mod endpoints;
mod error;
mod event;
mod examine;
mod feed;
mod file;
mod finishing;
mod listing;
mod metering;
mod model_name;
mod refusal;
mod registration;
mod repair;
mod request;
mod run;
mod running;
mod service;
mod slots;
mod transcript;

pub mod sse;

pub use config::{RunnerConfig, RunnerLimits};
pub use endpoints::{Endpoint, Endpoints, EndpointsError, ModelTerms};
pub use error::StartError;
pub use examine::{Examined, examine};
pub use running::{Runner, RunnerDeps, Running};
