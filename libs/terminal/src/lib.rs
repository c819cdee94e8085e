//! What people and programs read of a command: results on standard output, progress and errors on standard error.
//!
//! Owns lines, tables and JSON. What is said is for the command to decide.

pub mod output;
mod steps;

pub use steps::Steps;
