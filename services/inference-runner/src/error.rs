//! Why a runner does not start. What goes wrong later is the contract's `RunnerError`.

use std::net::SocketAddr;

/// Why a runner does not start or is not served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system's TLS set-up can't be used.
    #[error("no HTTP client can be made")]
    HttpClient(#[source] reqwest::Error),
    /// A backend's address can't be extended to its routes.
    #[error("the address of endpoint {endpoint} can't hold a path")]
    Address {
        /// The backend's name.
        endpoint: String,
    },
    /// The runner would be open to everybody.
    #[error(
        "{bind} can be reached from other machines and no token guards it: set T4T_SERVICE_TOKEN or bind to 127.0.0.1"
    )]
    OpenWithoutToken {
        /// Where it should be served.
        bind: SocketAddr,
    },
    /// The address can't be bound.
    #[error("can't serve on {bind}")]
    Bind {
        /// Where it should be served.
        bind: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The runner should register, and was given no dispatcher.
    #[error("no dispatcher to register with: set the job dispatcher's address")]
    NoDispatcher,
}
