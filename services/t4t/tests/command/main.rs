//! The command as its users meet it: real processes, a real chain, Swarm nodes and backends.
#![cfg(test)]

mod dev;
mod messages;
mod rig;
mod roles;
mod send;
mod stake;
