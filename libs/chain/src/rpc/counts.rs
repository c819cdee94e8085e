//! How much was asked of the endpoints.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What was sent since the client was made, failed attempts included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcCounts {
    /// HTTP requests.
    pub requests: u64,
    /// Questions by JSON-RPC method; a batch counts each of its own.
    pub methods: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    methods: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub(crate) fn count(&self, methods: impl Iterator<Item = &'static str>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut counts = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        for method in methods {
            *counts.entry(method).or_default() += 1;
        }
    }

    pub(crate) fn snapshot(&self) -> RpcCounts {
        RpcCounts {
            requests: self.requests.load(Ordering::Relaxed),
            methods: self.methods.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
