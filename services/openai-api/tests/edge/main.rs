//! The edge as apps see it: a real server on a free port, with a scripted buyer and registry watcher behind it.

#![cfg(test)]

mod clients;
mod doors;
mod errors;
mod gateway;
mod health;
mod limits;
mod market;
mod models;
mod plain;
mod requests;
mod retries;
mod streaming;
