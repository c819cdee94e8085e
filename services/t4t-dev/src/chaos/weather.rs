//! How often what goes wrong: a bad day everywhere at once.

use t4t_bee_dev::{Faults, InjectedError};
use t4t_faults::backend_proxy::BackendFault;
use t4t_faults::rpc_proxy::RpcFault;

/// What an endpoint of the chain does, one request in six; an endpoint that lags is behind in every tenth besides.
pub(super) fn chain(lags: bool) -> Vec<(RpcFault, f64)> {
    let mut faults = vec![
        (RpcFault::RateLimited, 0.03),
        (RpcFault::ServerError, 0.03),
        (RpcFault::Hang, 0.005),
        (RpcFault::Truncated, 0.02),
        (RpcFault::WrongId, 0.02),
        (RpcFault::StaleHead, 0.02),
        (RpcFault::NoLogs, 0.02),
        (RpcFault::Reset, 0.02),
        (RpcFault::AlreadyKnown, 0.05),
        (RpcFault::NonceTooLow, 0.05),
        (RpcFault::Underpriced, 0.05),
    ];
    if lags {
        faults.push((RpcFault::Lagging, 0.1));
    }
    faults
}

/// What the backend does, one request in six.
pub(super) fn backend() -> Vec<(BackendFault, f64)> {
    vec![
        (BackendFault::ServerError, 0.04),
        (BackendFault::RateLimited, 0.04),
        (BackendFault::Hang, 0.01),
        (BackendFault::Cut { after: 0 }, 0.04),
        (BackendFault::Slow { by_ms: 200 }, 0.04),
    ]
}

/// What the Swarm nodes do.
pub(super) fn swarm() -> Faults {
    Faults {
        delay_ms: 50,
        drop_messages: 0.3,
        duplicate_messages: 0.3,
        reorder_messages: 0.3,
        message_delay_ms: 200,
        not_found_first_n: 1,
        upload_error: Some(InjectedError { probability: 0.1, status: 500 }),
        download_error: Some(InjectedError { probability: 0.1, status: 500 }),
        ..Faults::realistic()
    }
}
