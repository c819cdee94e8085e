//! The watcher on a real chain, through its public face.

#![cfg(test)]

mod directory;
mod follow;
mod keys;
mod outage;
mod reorg;
mod transports;
mod world;
