//! The operator's commands.

pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod jobs;
pub(crate) mod role;
pub(crate) mod stake;
pub(crate) mod wallet;
