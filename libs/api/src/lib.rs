//! Each service's contract: its messages, its errors, and the two ways to reach it.
//!
//! A message is a [`Call`] (one answer) or a [`StreamCall`] (an answer in pieces). A service implements [`Serve`] and
//! [`ServeStream`] for its messages. Callers hold an `Arc<dyn Settlement>` (or one of its siblings) and can't tell
//! whether a [`Mailbox`] of this process or an [`HttpClient`] is behind it:
//!
//! ```text
//!            ask(call)                       ask(call)
//! caller ───► Mailbox ──► Desk actor ──► service      in one process
//! caller ───► HttpClient ──POST──► routes ──► Mailbox ──► Desk ──► service      across containers
//! ```
//!
//! Each call carries the [`Trace`] of the work that it belongs to, whichever way it travels.

mod call;
mod http_client;
mod http_server;
mod late;
mod mailbox;
mod trace;

pub mod inference_runner;
pub mod job_dispatcher;
pub mod registry_watcher;
pub mod settlement;

pub use call::{Call, ItemStream, Serve, ServeStream, ServiceError, StreamCall, TransportError};
pub use http_client::{HttpClient, HttpClientConfig};
pub use http_server::{Guard, call_route, stream_route};
pub use inference_runner::InferenceRunner;
pub use job_dispatcher::{Buying, Selling};
pub use late::Late;
pub use mailbox::{Desk, Mailbox};
pub use registry_watcher::RegistryWatcher;
pub use settlement::Settlement;
pub use trace::{REQUEST_ID, TRACE_PARENT, Trace, Traced, carried};
