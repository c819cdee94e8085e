//! The edge as apps see it: a real server on a free port, with a scripted buyer and registry watcher behind it.

#![cfg(test)]

mod access;
mod chunks;
mod clients;
mod completions;
mod errors;
mod gateway;
mod health;
mod limits;
mod market;
mod models;
mod panics;
mod plain;
mod requests;
mod retries;
mod streaming;
