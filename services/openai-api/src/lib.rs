//! The gateway's edge: the OpenAI wire format, server-sent events and limits; no business rules.
//!
//! ```text
//! app ──HTTP──► server ► guard ► routes ► completions ► Buying          (whoever buys)
//!                                       │      └► transcript ──SSE──► app
//!                                       ├► models ► catalogue ► RegistryWatcher
//!                                       └► health
//! ```
//!
//! It owns an app's request and answer for as long as the request lasts, and nothing else: it keeps no state that must
//! survive. A request is checked and passed on as it came; an answer is passed on as it came, or cut into the chunks of
//! a stream. Dropping the app's connection drops the purchase's stream.

mod body;
mod catalogue;
mod completions;
mod config;
mod error;
mod guard;
mod health;
mod idempotency;
mod joining;
mod limits;
mod models;
mod origins;
mod purchase;
mod routes;
mod server;
mod settings;
mod state;
mod streaming;
mod transcript;
mod wire;

pub use config::{AllowedOrigins, OpenAiConfig, ParseProgressModeError, ProgressMode};
pub use error::StartError;
pub use server::{OpenAiApi, OpenAiDeps, Running};
