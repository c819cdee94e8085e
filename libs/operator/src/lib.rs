//! Read models for whoever operates a role: the jobs, the stake, the prices, and what a role lacks.
//!
//! Owns what is found and what is to be done about it, as data that a command prints and a web console shows. Reads the
//! databases, the chain, Swarm and the services' contracts; changes nothing.

pub mod doctor;
pub mod jobs;
pub mod prices;
pub mod stake;
pub mod text;

mod market;

pub use market::{MarketError, MarketView};
