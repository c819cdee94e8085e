//! The command as its users meet it: real processes, a real chain, Swarm nodes and backends.
#![cfg(test)]

#[cfg(feature = "dev")]
mod dev;
#[cfg(not(feature = "dev"))]
mod left_out;
mod messages;
mod rig;
mod roles;
mod send;
mod stake;
