//! The gateway's edge: the OpenAI wire format, server-sent events and limits; no business rules.
//!
//! ```text
//! app ──HTTP──► server ► guard ► routes ► requests ► Buying            (whoever buys)
//!                                       │     ├► dialects             (chat, completions: what is read and written)
//!                                       │     └► streaming ──SSE──► app
//!                                       ├► models ► catalogue ► RegistryWatcher
//!                                       └► health
//! ```
//!
//! It owns an app's request and answer for as long as the request lasts, and nothing else: it keeps no state that must
//! survive. A request is checked and passed on as it came; an answer is passed on as it came, or cut into the chunks of
//! a stream. Dropping the app's connection drops the purchase's stream.

mod body;
mod catalogue;
mod config;
mod deps;
mod dialects;
mod error;
mod facts;
mod guard;
mod health;
mod idempotency;
mod joining;
mod limits;
mod models;
mod origins;
mod purchase;
mod requests;
mod routes;
mod server;
mod settings;
mod state;
mod streaming;
mod unusable;
mod wire;

pub use config::{AllowedOrigins, OpenAiConfig, ParseProgressModeError, ProgressMode};
pub use deps::OpenAiDeps;
pub use error::StartError;
pub use server::{OpenAiApi, Running};

/// Reads any bytes as what apps and providers send: for fuzzing.
#[doc(hidden)]
pub fn feed(data: &[u8]) {
    dialects::feed(data);
}
