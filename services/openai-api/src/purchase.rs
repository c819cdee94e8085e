//! A purchase as the edge sees it: progress, then an answer or an error.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::job_dispatcher::{Bought, BuyAnswer, BuyingError, BuyingProgress};
use t4t_api::{Buying, ItemStream, StreamCall};
use t4t_clock::{SharedClock, timeout};
use t4t_inference::Piece;
use t4t_json::JsonText;

use crate::error::GatewayError;
use crate::limits::{HeldBytes, Slot};

/// A running purchase. Dropping it drops the buyer's stream and frees its slot and memory.
pub(crate) struct Purchase {
    items: ItemStream<BuyAnswer>,
    /// Taken from `items` and not handed out yet.
    ahead: VecDeque<Step>,
    /// The answer, until it is known what it cost.
    whole: Option<JsonText>,
    clock: SharedClock,
    max_wait: Duration,
    give_up_at_ms: u64,
    slot: Slot,
    held: HeldBytes,
}

/// An answer that was paid for, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The provider's answer: one `chat.completion` object.
    pub(crate) whole: JsonText,
    /// Whom it was bought from, and for how much.
    pub(crate) bought: Bought,
}

/// A step of a purchase.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// On the way.
    Progress(BuyingProgress),
    /// The last one.
    Answered(Answered),
}

/// What an answer takes while it goes out.
pub(crate) struct Kept {
    _slot: Option<Slot>,
    _held: HeldBytes,
}

/// What a purchase runs with.
pub(crate) struct Terms {
    /// Whoever buys.
    pub(crate) buying: Arc<dyn Buying>,
    /// The clock.
    pub(crate) clock: SharedClock,
    /// How long to wait for the answer at most.
    pub(crate) max_wait: Duration,
    /// The right to buy now.
    pub(crate) slot: Slot,
    /// The memory that the request takes.
    pub(crate) held: HeldBytes,
}

impl Purchase {
    /// Begins a purchase.
    pub(crate) async fn begin(terms: Terms, call: BuyAnswer) -> Result<Self, GatewayError> {
        let Terms { buying, clock, max_wait, slot, held } = terms;
        let limit = BuyAnswer::DEADLINE;
        let opened = timeout(&*clock, limit, buying.open(call)).await;
        let items = opened.map_err(|_| timed_out(limit))??;
        let wait_ms = u64::try_from(max_wait.as_millis()).unwrap_or(u64::MAX);
        let give_up_at_ms = clock.unix_millis().saturating_add(wait_ms);
        let ahead = VecDeque::new();
        Ok(Self { items, ahead, whole: None, clock, max_wait, give_up_at_ms, slot, held })
    }

    /// The next step. It ends after `Answered` or the first error. Loses nothing when it is dropped before it is done.
    pub(crate) async fn next(&mut self) -> Result<Step, GatewayError> {
        match self.ahead.pop_front() {
            Some(item) => Ok(item),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Result<Step, GatewayError> {
        loop {
            let left = Duration::from_millis(self.give_up_at_ms.saturating_sub(self.clock.unix_millis()));
            let item = match timeout(&*self.clock, left, self.items.next()).await {
                Ok(Some(item)) => item?,
                Ok(None) => return Err(GatewayError::NoAnswer),
                Err(_) => return Err(timed_out(self.max_wait)),
            };
            match item {
                BuyingProgress::Piece(Piece::Chunk(_)) => {}
                BuyingProgress::Piece(Piece::End(end)) => self.whole = end.whole,
                BuyingProgress::Bought(bought) => {
                    let whole = self.whole.take().ok_or(GatewayError::NoAnswer)?;
                    return Ok(Step::Answered(Answered { whole, bought }));
                }
                progress => return Ok(Step::Progress(progress)),
            }
        }
    }

    /// Waits for the answer, but no longer than `limit`: until then an error can still have a status of its own, by which
    /// apps try again. What happened meanwhile is handed out by [`Self::next`].
    pub(crate) async fn settle_in(&mut self, limit: Duration) -> Result<(), GatewayError> {
        let clock = Arc::clone(&self.clock);
        let answered = async {
            loop {
                let item = self.receive().await?;
                let is_last = matches!(item, Step::Answered(_));
                let waits = |item: &Step| matches!(item, Step::Progress(BuyingProgress::Waiting { .. }));
                // Of steps that only say to wait, one after another, the last is enough.
                if waits(&item) && self.ahead.back().is_some_and(waits) {
                    self.ahead.pop_back();
                }
                self.ahead.push_back(item);
                if is_last {
                    return Ok(());
                }
            }
        };
        timeout(&*clock, limit, answered).await.unwrap_or(Ok(()))
    }

    /// The answer, if it came while the purchase settled in.
    pub(crate) fn settled(&self) -> Option<&Answered> {
        match self.ahead.back() {
            Some(Step::Answered(answer)) => Some(answer),
            _ => None,
        }
    }

    /// Ends the purchase when its answer of so many bytes is there: the slot is free again. Only where the memory that
    /// bodies share has no room for the answer is the slot kept, so that waiting answers stay bounded.
    pub(crate) fn release(self, bytes: usize) -> Kept {
        let Self { slot, mut held, .. } = self;
        let slot = held.cover(bytes).is_err().then_some(slot);
        Kept { _slot: slot, _held: held }
    }

    /// Waits for the answer; with it comes what it takes until it is delivered.
    pub(crate) async fn answer(mut self) -> Result<(Answered, Kept), GatewayError> {
        loop {
            if let Step::Answered(answer) = self.next().await? {
                let kept = self.release(answer.whole.as_str().len());
                return Ok((answer, kept));
            }
        }
    }
}

fn timed_out(limit: Duration) -> GatewayError {
    BuyingError::TimedOut { after_s: limit.as_secs() }.into()
}
