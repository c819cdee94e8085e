//! The OpenAI wire format: what apps send and what they are sent. Pure; no I/O.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod error;
mod fields;
mod foreign;
mod halves;
pub(crate) mod mend;
mod messages;
pub(crate) mod model;
pub(crate) mod pieces;
pub(crate) mod progress;
pub(crate) mod request;
mod usage;
