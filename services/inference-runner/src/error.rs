//! Why a runner does not start. What goes wrong later is the contract's `RunnerError`.

/// Why a runner does not start or does not register.
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
    /// The runner should register, and was given no dispatcher.
    #[error("no dispatcher to register with: set the job dispatcher's address")]
    NoDispatcher,
}
