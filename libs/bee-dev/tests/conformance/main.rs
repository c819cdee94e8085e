//! What the client asks of a node, asked of real nodes or of the development network.
//!
//! `T4T_BEE_URLS="http://a:1633 http://b:1633"` names real full nodes (each with a usable batch, or with the means to
//! buy one); without it every test starts a development network of its own.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

mod content;
mod messages;
mod nodes;
mod stamps;
