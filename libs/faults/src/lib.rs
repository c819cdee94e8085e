//! Outside things that go wrong on purpose: a chain endpoint and an inference backend.
//!
//! Each is a proxy on a port of its own, in front of one that works. What goes wrong is a list of faults with a
//! probability each; the same seed throws the same dice. The third outside thing, Swarm, has its faults in the
//! development node itself.

pub mod backend_proxy;
mod dice;
mod http;
pub mod lying_rpc;
mod plan;
mod proxy;
pub mod rpc_proxy;

pub use dice::Dice;
pub use proxy::{Proxy, accept};
use url::Url;

/// A proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port is free.
    #[error("no port is free")]
    Port(#[from] std::io::Error),
    /// The client towards the one that works can't be made.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
}

/// The URL of a listener of this machine.
fn local(address: std::net::SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).expect("an address and a port make a URL")
}
