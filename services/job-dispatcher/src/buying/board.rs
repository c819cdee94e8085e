//! Purchases under way: each is one log of progress that any number of readers follow from its beginning.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use t4t_api::job_dispatcher::{BuyingError, BuyingProgress};
use t4t_types::RequestId;
use tokio::sync::watch;

/// One purchase, as its readers see it.
#[derive(Debug)]
pub(super) struct Purchase {
    log: Mutex<Vec<BuyingProgress>>,
    end: Mutex<Option<Result<(), BuyingError>>>,
    changed: watch::Sender<()>,
}

impl Purchase {
    fn new() -> Arc<Self> {
        Arc::new(Self { log: Mutex::default(), end: Mutex::default(), changed: watch::channel(()).0 })
    }

    /// Adds to the log.
    pub(super) fn push(&self, progress: BuyingProgress) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(progress);
        self.changed.send_replace(());
    }

    fn finish(&self, end: Result<(), BuyingError>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.changed.send_replace(());
    }

    /// Whether anybody still wants the answer.
    pub(super) fn is_wanted(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    /// The log from its beginning, then what comes.
    pub(super) fn read(
        self: &Arc<Self>,
    ) -> impl Stream<Item = Result<BuyingProgress, BuyingError>> + Send + 'static + use<> {
        let purchase = Arc::clone(self);
        let mut changed = purchase.changed.subscribe();
        async_stream::stream! {
            let mut read = 0;
            loop {
                changed.borrow_and_update();
                let news: Vec<BuyingProgress> = {
                    let log = purchase.log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.get(read..).map(<[_]>::to_vec).unwrap_or_default()
                };
                read += news.len();
                for progress in news {
                    yield Ok(progress);
                }
                // Read after the log: what was logged before the end is told before the end.
                let end = purchase.end.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match end {
                    Some(_) if purchase.log.lock().unwrap_or_else(PoisonError::into_inner).len() > read => {}
                    Some(Ok(())) => return,
                    Some(Err(error)) => {
                        yield Err(error);
                        return;
                    }
                    None => {
                        if changed.changed().await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// The purchases under way, by request.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    purchases: Arc<Mutex<HashMap<RequestId, Arc<Purchase>>>>,
}

impl Board {
    /// The purchase for a request; `true` if it is new and the caller has to run it.
    pub(super) fn join(&self, id: RequestId) -> (Arc<Purchase>, bool) {
        let mut purchases = self.purchases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purchase) = purchases.get(&id) {
            return (Arc::clone(purchase), false);
        }
        let purchase = Purchase::new();
        purchases.insert(id, Arc::clone(&purchase));
        (purchase, true)
    }

    /// Ends a purchase. Its readers still get all of it; who asks again starts from the rows.
    pub(super) fn finish(&self, id: RequestId, end: Result<(), BuyingError>) {
        let purchase = self.purchases.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(purchase) = purchase {
            purchase.finish(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_late_reader_gets_the_whole_log_and_the_end() {
        let board = Board::default();
        let id = RequestId::new([1; 32]);
        let (purchase, is_new) = board.join(id);
        assert!(is_new);
        purchase.push(BuyingProgress::Acked);
        let (joined, is_new) = board.join(id);
        assert!(!is_new, "the same request is one purchase");
        let reader = joined.read();
        assert!(purchase.is_wanted());
        purchase.push(BuyingProgress::Waiting { busy: 1 });
        board.finish(id, Err(BuyingError::TimedOut { after_s: 1 }));
        let all: Vec<_> = reader.collect().await;
        assert_eq!(all.len(), 3);
        assert!(matches!(all[2], Err(BuyingError::TimedOut { .. })));
        assert!(!purchase.is_wanted());
    }
}
