//! What people and programs read of a command: results on standard output, progress and errors on standard error.
//!
//! Owns lines, tables, JSON, amounts and moments as text. What is said is for the command to decide.

pub mod output;
mod steps;

pub use steps::Steps;
