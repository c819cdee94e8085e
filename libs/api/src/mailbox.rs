//! A service in this process, behind its mailbox.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler, MailboxError, Message, ResponseFuture};
use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use crate::call::{Call, ItemStream, Serve, ServeStream, StreamCall, TransportError};
use crate::trace::Name;

/// Messages waiting at a desk. The desk hands them on at once, so this only absorbs a burst between two turns of its
/// thread; what limits the work is the number of slots.
const MAILBOX_CAPACITY: usize = 256;

/// When a caller that was turned away may try again.
const RETRY_AFTER_S: u64 = 1;

/// The actor in front of a service: it takes messages while it has a free slot and refuses them when it has none, so
/// that neither the queue nor the work in flight can grow without bound.
///
/// The work itself runs on the process's runtime, on whichever core is free: the actor only lets it in.
pub struct Desk<S: ?Sized> {
    name: &'static str,
    service: Arc<S>,
    slots: Arc<Semaphore>,
    runtime: Handle,
}

impl<S: ?Sized + Send + Sync + 'static> Desk<S> {
    /// Starts the actor on a thread of its own; at most `slots` messages are worked on at a time, on the runtime that this
    /// is called on.
    ///
    /// # Panics
    /// It is called outside a runtime.
    pub fn start(name: &'static str, service: Arc<S>, slots: usize) -> Mailbox<S> {
        let slots = Arc::new(Semaphore::new(slots));
        let desk = Self { name, service, slots, runtime: Handle::current() };
        let addr = Self::start_in_arbiter(&Arbiter::new().handle(), |_| desk);
        Mailbox { name, addr }
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, TransportError> {
        let busy = |_| TransportError::Busy { service: self.name.into(), retry_after_s: RETRY_AFTER_S };
        Arc::clone(&self.slots).try_acquire_owned().map_err(busy)
    }
}

impl<S: ?Sized> fmt::Debug for Desk<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<S: ?Sized + Send + Sync + 'static> Actor for Desk<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

/// Runs work on a runtime. It stops when nobody waits for it any more.
async fn run_on<T: Send + 'static>(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    match AbortOnDropHandle::new(runtime.spawn(work)).await {
        Ok(done) => done,
        // A service that panics ends the process, so this is the runtime's own end: nobody is left to be answered.
        Err(_) => std::future::pending().await,
    }
}

/// A message, and the name of the work that it belongs to.
struct Ask<C>(C, Name);

impl<C: Call> Message for Ask<C> {
    type Result = Result<C::Reply, C::Error>;
}

impl<C: Call, S: Serve<C> + ?Sized + 'static> Handler<Ask<C>> for Desk<S> {
    type Result = ResponseFuture<Result<C::Reply, C::Error>>;

    fn handle(&mut self, Ask(call, name): Ask<C>, _: &mut Self::Context) -> Self::Result {
        let slot = self.slot();
        let service = Arc::clone(&self.service);
        let runtime = self.runtime.clone();
        Box::pin(async move {
            let slot = slot?;
            let work = async move {
                let _slot = slot;
                service.ask(call).await
            };
            run_on(&runtime, name.of(work)).await
        })
    }
}

struct Open<C>(C, Name);

impl<C: StreamCall> Message for Open<C> {
    type Result = Result<ItemStream<C>, C::Error>;
}

impl<C: StreamCall, S: ServeStream<C> + ?Sized + 'static> Handler<Open<C>> for Desk<S> {
    type Result = ResponseFuture<Result<ItemStream<C>, C::Error>>;

    fn handle(&mut self, Open(call, name): Open<C>, _: &mut Self::Context) -> Self::Result {
        let slot = self.slot();
        let service = Arc::clone(&self.service);
        let runtime = self.runtime.clone();
        Box::pin(async move {
            let slot = slot?;
            let work = async move {
                let items = service.open(call).await?;
                let items: ItemStream<C> = Box::pin(items.inspect(move |_| {
                    // The slot stays taken until the stream is dropped.
                    let _held = &slot;
                }));
                Ok(items)
            };
            run_on(&runtime, name.of(work)).await
        })
    }
}

/// A service's address in this process.
pub struct Mailbox<S: ?Sized + Send + Sync + 'static> {
    name: &'static str,
    addr: Addr<Desk<S>>,
}

impl<S: ?Sized + Send + Sync + 'static> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self { name: self.name, addr: self.addr.clone() }
    }
}

impl<S: ?Sized + Send + Sync + 'static> fmt::Debug for Mailbox<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Waits for a desk's answer, for at most `deadline`.
async fn answer<T>(
    service: &'static str,
    deadline: Duration,
    answer: impl Future<Output = Result<T, MailboxError>>,
) -> Result<T, TransportError> {
    let service = || service.to_owned();
    match tokio::time::timeout(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(MailboxError::Closed)) => {
            Err(TransportError::Unreachable { service: service(), reason: "it has stopped".into() })
        }
        Ok(Err(MailboxError::Timeout)) | Err(_) => {
            let after_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            Err(TransportError::TimedOut { service: service(), after_ms })
        }
    }
}

#[async_trait]
impl<C: Call, S: Serve<C> + ?Sized + 'static> Serve<C> for Mailbox<S> {
    async fn ask(&self, call: C) -> Result<C::Reply, C::Error> {
        answer(self.name, C::DEADLINE, self.addr.send(Ask(call, Name::current()))).await?
    }
}

#[async_trait]
impl<C: StreamCall, S: ServeStream<C> + ?Sized + 'static> ServeStream<C> for Mailbox<S> {
    async fn open(&self, call: C) -> Result<ItemStream<C>, C::Error> {
        answer(self.name, C::DEADLINE, self.addr.send(Open(call, Name::current()))).await?
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::trace::Trace;

    /// Asks under which name the work is done.
    #[derive(Debug, Serialize, Deserialize)]
    struct WhoAmI;

    impl Call for WhoAmI {
        type Reply = Option<String>;
        type Error = crate::registry_watcher::WatcherError;
        const PATH: &'static str = "/who-am-i";
    }

    struct Named;

    #[async_trait]
    impl Serve<WhoAmI> for Named {
        async fn ask(&self, _: WhoAmI) -> Result<Option<String>, crate::registry_watcher::WatcherError> {
            Ok(Trace::current().map(|trace| trace.request_id().to_owned()))
        }
    }

    #[actix_web::test]
    async fn a_message_keeps_the_name_of_the_work_that_it_belongs_to() {
        let mailbox = Desk::start("named", Arc::new(Named), 4);
        let under = async |name: &str| Trace::begin(name).scope(mailbox.ask(WhoAmI)).await.unwrap();
        assert_eq!(under("one").await.as_deref(), Some("one"));
        assert_eq!(under("another").await.as_deref(), Some("another"));
        assert_eq!(mailbox.ask(WhoAmI).await.unwrap(), None);
    }
}
