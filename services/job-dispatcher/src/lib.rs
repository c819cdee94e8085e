//! Jobs on both sides of the market.
//!
//! [`buying`] (gateway): choose, seal, pay, send, collect, fail over. [`selling`] (provider): watch, verify, accept or
//! refuse, hand to a runner, deliver, claim. The two share the store, the protocol and [`carriage`], the way messages
//! travel; neither knows the other, and it knows neither. Each job is a persisted state machine: its row moves before the
//! outside effect, so that whoever finds the row after a crash knows what to do next, and doing it twice is doing it once.

pub mod buying;
pub mod carriage;
pub mod selling;

mod age;
mod chronicle;
mod claims;
mod settings;

pub use carriage::{Courier, CourierConfig, CourierError, SwarmCourier};
