//! Purchases under way: each is one log of progress that any number of readers follow from its beginning.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use t4t_api::ItemStream;
use t4t_api::job_dispatcher::{BuyAnswer, BuyingError, BuyingProgress};
use t4t_types::{RequestId, Xbzz};
use tokio::sync::watch;

/// One purchase, as its readers see it.
#[derive(Debug)]
pub(super) struct Purchase {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    log: Vec<BuyingProgress>,
    end: Option<Result<(), BuyingError>>,
    /// Nobody wanted it when it was asked: it buys nothing more, so nobody may wait for it.
    is_given_up: bool,
    /// Somebody took the answer.
    is_read: bool,
}

impl Purchase {
    /// A purchase and its first reader.
    fn begin() -> (Arc<Self>, ItemStream<BuyAnswer>) {
        let (changed, receiver) = watch::channel(());
        let purchase = Arc::new(Self { state: Mutex::default(), changed });
        let progress = Arc::clone(&purchase).read(receiver);
        (purchase, progress)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the log.
    pub(super) fn push(&self, progress: BuyingProgress) {
        self.state().log.push(progress);
        self.changed.send_replace(());
    }

    fn finish(&self, end: Result<(), BuyingError>) {
        self.state().end = Some(end);
        self.changed.send_replace(());
    }

    /// Whether anybody still wants the answer. Once the answer is no it stays no, so whoever hears it gives up: who asks
    /// for the same later gets a purchase of its own.
    pub(super) fn is_wanted(&self) -> bool {
        let mut state = self.state();
        state.is_given_up |= self.changed.receiver_count() == 0;
        !state.is_given_up
    }

    /// Returns when nobody follows any more.
    pub(super) async fn left(&self) {
        self.changed.closed().await;
    }

    /// What the answer costs, once there is one.
    pub(super) fn cost(&self) -> Option<Xbzz> {
        match self.state().log.last() {
            Some(BuyingProgress::Bought(bought)) => Some(bought.cost),
            _ => None,
        }
    }

    /// Whether somebody took the answer, or is about to.
    pub(super) fn is_read(&self) -> bool {
        self.state().is_read || self.changed.receiver_count() > 0
    }

    /// The log from its beginning, then what comes; `None` once it is given up.
    fn follow(self: &Arc<Self>) -> Option<ItemStream<BuyAnswer>> {
        let state = self.state();
        // Under the lock: between this look and the first reader nobody gives it up.
        let receiver = (!state.is_given_up).then(|| self.changed.subscribe())?;
        drop(state);
        Some(Arc::clone(self).read(receiver))
    }

    fn read(self: Arc<Self>, mut changed: watch::Receiver<()>) -> ItemStream<BuyAnswer> {
        Box::pin(async_stream::stream! {
            let mut read = 0;
            loop {
                changed.borrow_and_update();
                let (news, end) = self.from(read);
                read += news.len();
                for progress in news {
                    yield Ok(progress);
                }
                match end {
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
        })
    }

    /// What was logged after the first `read` items, and the end if it is there.
    fn from(&self, read: usize) -> (Vec<BuyingProgress>, Option<Result<(), BuyingError>>) {
        let mut state = self.state();
        let news = state.log.get(read..).map(<[_]>::to_vec).unwrap_or_default();
        state.is_read |= matches!(news.last(), Some(BuyingProgress::Bought(_)));
        (news, state.end.clone())
    }
}

/// The purchases under way, by request.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    purchases: Arc<Mutex<HashMap<RequestId, UnderWay>>>,
}

#[derive(Debug)]
struct UnderWay {
    running: Arc<Purchase>,
    /// Somebody asked again after the running one was given up.
    next: Option<(BuyAnswer, Arc<Purchase>)>,
    /// The call of a running one that nobody runs yet.
    unstarted: Option<BuyAnswer>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, UnderWay>> {
        self.purchases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the purchase for a request; with it the purchase itself if it is new and the caller has to run it.
    pub(super) fn join(&self, call: &BuyAnswer) -> (ItemStream<BuyAnswer>, Option<Arc<Purchase>>) {
        let mut purchases = self.lock();
        let under_way = match purchases.entry(call.id) {
            Entry::Vacant(vacant) => {
                let (purchase, progress) = Purchase::begin();
                let running = Arc::clone(&purchase);
                vacant.insert(UnderWay { running, next: None, unstarted: None });
                return (progress, Some(purchase));
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        let next = under_way.next.as_ref().map(|(_, next)| next);
        if let Some(progress) = under_way.running.follow().or_else(|| next.and_then(Purchase::follow)) {
            return (progress, None);
        }
        let (purchase, progress) = Purchase::begin();
        under_way.next = Some((call.clone(), purchase));
        (progress, None)
    }

    /// Ends a purchase. Its readers still get all of it; who asks again starts from the rows.
    pub(super) fn finish(&self, id: RequestId, end: Result<(), BuyingError>) {
        let mut purchases = self.lock();
        let Entry::Occupied(mut under_way) = purchases.entry(id) else { return };
        let ended = match under_way.get_mut().next.take() {
            None => under_way.remove().running,
            Some((call, next)) => {
                let under_way = under_way.get_mut();
                under_way.unstarted = Some(call);
                std::mem::replace(&mut under_way.running, next)
            }
        };
        drop(purchases);
        ended.finish(end);
    }

    /// What whoever ran a purchase to its end has to run next.
    pub(super) fn next(&self, id: RequestId) -> Option<(BuyAnswer, Arc<Purchase>)> {
        let mut purchases = self.lock();
        let under_way = purchases.get_mut(&id)?;
        let call = under_way.unstarted.take()?;
        Some((call, Arc::clone(&under_way.running)))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use t4t_inference::{InferenceRequest, Kind};

    use super::*;

    fn call() -> BuyAnswer {
        BuyAnswer {
            id: RequestId::new([1; 32]),
            model: "m".parse().unwrap(),
            request: InferenceRequest::read(Kind::Chat, "{}".into()).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_late_reader_gets_the_whole_log_and_the_end() {
        let board = Board::default();
        let (first, purchase) = board.join(&call());
        let purchase = purchase.expect("it is new");
        purchase.push(BuyingProgress::Acked);
        let (reader, joined) = board.join(&call());
        assert!(joined.is_none(), "the same request is one purchase");
        drop(first);
        assert!(purchase.is_wanted());
        purchase.push(BuyingProgress::Waiting { busy: 1 });
        board.finish(call().id, Err(BuyingError::TimedOut { after_s: 1 }));
        let all: Vec<_> = reader.collect().await;
        assert_eq!(all.len(), 3);
        assert!(matches!(all[2], Err(BuyingError::TimedOut { .. })));
        assert!(!purchase.is_wanted());
        assert!(board.next(call().id).is_none());
    }

    #[tokio::test]
    async fn whoever_asks_again_before_it_is_given_up_joins_what_was_left() {
        let board = Board::default();
        let (first, purchase) = board.join(&call());
        let purchase = purchase.expect("it is new");
        drop(first);
        purchase.left().await;
        let (again, joined) = board.join(&call());
        assert!(joined.is_none());
        assert!(purchase.is_wanted(), "somebody follows again");
        board.finish(call().id, Ok(()));
        assert_eq!(again.count().await, 0);
    }

    #[tokio::test]
    async fn whoever_asks_for_what_was_given_up_gets_a_purchase_of_its_own_after_it() {
        let board = Board::default();
        let (first, purchase) = board.join(&call());
        drop(first);
        assert!(!purchase.expect("it is new").is_wanted());
        let (second, joined) = board.join(&call());
        assert!(joined.is_none(), "whoever runs the first one runs it too");
        let (third, joined) = board.join(&call());
        assert!(joined.is_none());
        let gave_up = BuyingError::Unavailable { reason: "the app hung up".into() };
        board.finish(call().id, Err(gave_up));
        let (_, next) = board.next(call().id).expect("it waits to be run");
        assert!(board.next(call().id).is_none(), "it is run once");
        next.push(BuyingProgress::Acked);
        board.finish(call().id, Ok(()));
        for reader in [second, third] {
            let told: Vec<_> = reader.collect().await;
            assert!(matches!(told[..], [Ok(BuyingProgress::Acked)]), "{told:?}");
        }
        assert!(board.join(&call()).1.is_some(), "nothing is left on the board");
    }
}
