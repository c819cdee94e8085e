//! A service that is still starting: whoever holds its address may ask already, and is told to come back.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::call::{Call, ItemStream, Serve, ServeStream, StreamCall, TransportError};

/// When whoever asked too early may ask again.
const RETRY_AFTER_S: u64 = 2;

/// A service's address before the service is there. Clones reach the same one.
pub struct Late<S: ?Sized> {
    name: &'static str,
    service: Arc<OnceLock<Arc<S>>>,
}

impl<S: ?Sized> Late<S> {
    /// An address that nobody answers at yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, service: Arc::default() }
    }

    /// The service is there. Only the first one counts.
    pub fn arrive(&self, service: Arc<S>) {
        // Whoever comes second finds the place taken, which is what only the first counts means.
        let _taken = self.service.set(service);
    }

    fn service(&self) -> Result<&Arc<S>, TransportError> {
        let starting =
            || TransportError::Starting { service: self.name.to_owned(), retry_after_s: RETRY_AFTER_S };
        self.service.get().ok_or_else(starting)
    }
}

impl<S: ?Sized> Clone for Late<S> {
    fn clone(&self) -> Self {
        Self { name: self.name, service: Arc::clone(&self.service) }
    }
}

impl<S: ?Sized> fmt::Debug for Late<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: Call, S: Serve<C> + ?Sized> Serve<C> for Late<S> {
    async fn ask(&self, call: C) -> Result<C::Reply, C::Error> {
        self.service()?.ask(call).await
    }
}

#[async_trait]
impl<C: StreamCall, S: ServeStream<C> + ?Sized> ServeStream<C> for Late<S> {
    async fn open(&self, call: C) -> Result<ItemStream<C>, C::Error> {
        self.service()?.open(call).await
    }
}
