//! Purchases in flight: each is one log of progress that any number of readers follow from its beginning.
//!
//! What is read from it shares its bytes with it; nothing is copied for a late reader. A log that grew beyond its bound
//! ends its purchase.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use t4t_api::ItemStream;
use t4t_api::job_dispatcher::{BuyAnswer, BuyingError, BuyingProgress};
use t4t_inference::{MAX_CONTENT_BYTES, Piece};
use t4t_panics::{Lock, LockGuard};
use t4t_types::{RequestId, Xbzz};
use tokio::sync::watch;

/// The most that the pieces of one answer may hold, in bytes: its chunks, and the whole where it comes with them.
const MOST_BYTES: usize = 2 * MAX_CONTENT_BYTES;

/// One purchase, as its readers see it.
#[derive(Debug)]
pub(super) struct PurchaseLog {
    state: Lock<State>,
    changed: watch::Sender<()>,
}

/// What happened, with its number.
type Step = (u64, BuyingProgress);

/// How a purchase ended.
type End = Result<(), BuyingError>;

#[derive(Debug, Default)]
struct State {
    /// What happened, each with its number.
    log: Vec<Step>,
    last_number: u64,
    /// What the pieces of the answer hold.
    bytes: usize,
    end: Option<End>,
    /// Nobody wanted it when it was asked: it buys nothing more, so nobody may wait for it.
    is_given_up: bool,
    /// Somebody took the answer.
    is_read: bool,
}

impl State {
    fn add(&mut self, step: BuyingProgress) {
        self.last_number += 1;
        self.log.push((self.last_number, step));
    }
}

/// A purchase's log holds as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is longer than the {MOST_BYTES} bytes that are kept of one")]
pub(super) struct LogFull;

impl PurchaseLog {
    /// A purchase and its first reader.
    fn begin() -> (Arc<Self>, ItemStream<BuyAnswer>) {
        let (changed, receiver) = watch::channel(());
        let purchase = Arc::new(Self { state: Lock::default(), changed });
        let progress = Arc::clone(&purchase).read(receiver);
        (purchase, progress)
    }

    fn state(&self) -> LockGuard<'_, State> {
        self.state.lock()
    }

    /// Notes a step. Of steps that only say to wait, one after another, the last is kept.
    pub(super) fn push(&self, step: BuyingProgress) {
        let waits = |step: &BuyingProgress| matches!(step, BuyingProgress::Waiting { .. });
        {
            let mut state = self.state();
            if waits(&step) && state.log.last().is_some_and(|(_, last)| waits(last)) {
                state.log.pop();
            }
            state.add(step);
        }
        self.changed.send_replace(());
    }

    /// Notes a piece of the answer.
    ///
    /// # Errors
    /// The log holds as much as it may.
    pub(super) fn push_piece(&self, piece: Piece) -> Result<(), LogFull> {
        let bytes = match &piece {
            Piece::Chunk(chunk) => chunk.json.as_str().len(),
            Piece::End(end) => end.whole.as_ref().map_or(0, |whole| whole.as_str().len()),
        };
        {
            let mut state = self.state();
            state.bytes = state.bytes.saturating_add(bytes);
            if state.bytes > MOST_BYTES {
                return Err(LogFull);
            }
            state.add(BuyingProgress::Piece(piece));
        }
        self.changed.send_replace(());
        Ok(())
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
            Some((_, BuyingProgress::Bought(bought))) => Some(bought.cost),
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
                let (news, end) = self.after(read);
                for (number, progress) in news {
                    read = number;
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

    /// What was logged after the step with this number, and the end if it is there.
    fn after(&self, read: u64) -> (Vec<Step>, Option<End>) {
        let mut state = self.state();
        let news = state.log[state.log.partition_point(|(number, _)| *number <= read)..].to_vec();
        state.is_read |= matches!(news.last(), Some((_, BuyingProgress::Bought(_))));
        (news, state.end.clone())
    }
}

/// The purchases in flight, by request.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    purchases: Arc<Lock<HashMap<RequestId, Running>>>,
}

#[derive(Debug)]
struct Running {
    running: Arc<PurchaseLog>,
    /// Somebody asked again after the running one was given up.
    next: Option<(BuyAnswer, Arc<PurchaseLog>)>,
    /// The call of a running one that nobody runs yet.
    unstarted: Option<BuyAnswer>,
}

impl InFlight {
    fn lock(&self) -> LockGuard<'_, HashMap<RequestId, Running>> {
        self.purchases.lock()
    }

    /// Follows the purchase for a request; with it the purchase itself if it is new and the caller has to run it.
    pub(super) fn join(&self, call: &BuyAnswer) -> (ItemStream<BuyAnswer>, Option<Arc<PurchaseLog>>) {
        let mut purchases = self.lock();
        let running_one = match purchases.entry(call.id) {
            Entry::Vacant(vacant) => {
                let (purchase, progress) = PurchaseLog::begin();
                let running = Arc::clone(&purchase);
                vacant.insert(Running { running, next: None, unstarted: None });
                return (progress, Some(purchase));
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        let next = running_one.next.as_ref().map(|(_, next)| next);
        if let Some(progress) = running_one.running.follow().or_else(|| next.and_then(PurchaseLog::follow)) {
            return (progress, None);
        }
        let (purchase, progress) = PurchaseLog::begin();
        running_one.next = Some((call.clone(), purchase));
        (progress, None)
    }

    /// Ends a purchase. Its readers still get all of it; who asks again starts from the rows.
    pub(super) fn finish(&self, id: RequestId, end: Result<(), BuyingError>) {
        let mut purchases = self.lock();
        let Entry::Occupied(mut running_one) = purchases.entry(id) else { return };
        let ended = match running_one.get_mut().next.take() {
            None => running_one.remove().running,
            Some((call, next)) => {
                let running_one = running_one.get_mut();
                running_one.unstarted = Some(call);
                std::mem::replace(&mut running_one.running, next)
            }
        };
        drop(purchases);
        ended.finish(end);
    }

    /// What whoever ran a purchase to its end has to run next.
    pub(super) fn next(&self, id: RequestId) -> Option<(BuyAnswer, Arc<PurchaseLog>)> {
        let mut purchases = self.lock();
        let running_one = purchases.get_mut(&id)?;
        let call = running_one.unstarted.take()?;
        Some((call, Arc::clone(&running_one.running)))
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
        let in_flight = InFlight::default();
        let (first, purchase) = in_flight.join(&call());
        let purchase = purchase.expect("it is new");
        purchase.push(BuyingProgress::Acked);
        let (reader, joined) = in_flight.join(&call());
        assert!(joined.is_none(), "the same request is one purchase");
        drop(first);
        assert!(purchase.is_wanted());
        purchase.push(BuyingProgress::Waiting { busy: 1 });
        in_flight.finish(call().id, Err(BuyingError::TimedOut { after_s: 1 }));
        let all: Vec<_> = reader.collect().await;
        assert_eq!(all.len(), 3);
        assert!(matches!(all[2], Err(BuyingError::TimedOut { .. })));
        assert!(!purchase.is_wanted());
        assert!(in_flight.next(call().id).is_none());
    }

    #[tokio::test]
    async fn whoever_asks_again_before_it_is_given_up_joins_what_was_left() {
        let in_flight = InFlight::default();
        let (first, purchase) = in_flight.join(&call());
        let purchase = purchase.expect("it is new");
        drop(first);
        purchase.left().await;
        let (again, joined) = in_flight.join(&call());
        assert!(joined.is_none());
        assert!(purchase.is_wanted(), "somebody follows again");
        in_flight.finish(call().id, Ok(()));
        assert_eq!(again.count().await, 0);
    }

    #[tokio::test]
    async fn whoever_asks_for_what_was_given_up_gets_a_purchase_of_its_own_after_it() {
        let in_flight = InFlight::default();
        let (first, purchase) = in_flight.join(&call());
        drop(first);
        assert!(!purchase.expect("it is new").is_wanted());
        let (second, joined) = in_flight.join(&call());
        assert!(joined.is_none(), "whoever runs the first one runs it too");
        let (third, joined) = in_flight.join(&call());
        assert!(joined.is_none());
        let gave_up = BuyingError::Unavailable { reason: "the app hung up".into() };
        in_flight.finish(call().id, Err(gave_up));
        let (_, next) = in_flight.next(call().id).expect("it waits to be run");
        assert!(in_flight.next(call().id).is_none(), "it is run once");
        next.push(BuyingProgress::Acked);
        in_flight.finish(call().id, Ok(()));
        for reader in [second, third] {
            let told: Vec<_> = reader.collect().await;
            assert!(matches!(told[..], [Ok(BuyingProgress::Acked)]), "{told:?}");
        }
        assert!(in_flight.join(&call()).1.is_some(), "nothing is left in flight");
    }
}
