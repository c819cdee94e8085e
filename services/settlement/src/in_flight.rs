//! Transactions in flight, and when to look for the receipt of each: right away on chains that mine at once, otherwise when
//! the next block is due, so that a transaction usually costs one question.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use t4t_store::transactions::TransactionId;
use tokio::sync::Notify;

use crate::head::Heads;

/// First look on a chain that mines at once.
const FIRST_LOOK: Duration = Duration::from_millis(20);

/// Looks without a receipt after which a chain no longer counts as mining at once.
const LOOKS_AT_ONCE: u32 = 5;

/// A block reaches an endpoint a little after it was due.
const PROPAGATION: Duration = Duration::from_millis(400);

/// Blocks that come faster than this are not waited for by the clock.
const FAST: Duration = Duration::from_millis(900);

/// One in so many transactions is looked for right away, in case the chain has become one that mines at once.
const PROBE_EVERY: u32 = 64;

/// What is known of a transaction that was handed to a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// When its bytes were last sent, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The newest block when its present version was first sent, as far as could be told.
    pub(crate) head: Option<u64>,
    /// When to look for its receipt.
    pub(crate) next_look_ms: u64,
    /// Looks so far.
    pub(crate) looks: u32,
    /// A node wants a higher fee.
    pub(crate) fee_too_low: bool,
    /// Another transaction has its nonce, by a node's word.
    pub(crate) nonce_taken: bool,
    /// The wallet can't pay for it, by a node's word.
    pub(crate) unfunded: bool,
}

/// Transactions that were sent and have no receipt yet.
#[derive(Debug)]
pub(crate) struct InFlight {
    sent: Mutex<HashMap<TransactionId, Sent>>,
    mines_at_once: AtomicBool,
    sends: AtomicU32,
    heads: Arc<Heads>,
    /// Wakes whoever looks for receipts.
    wake: Notify,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl InFlight {
    pub(crate) fn new(heads: Arc<Heads>) -> Self {
        Self {
            sent: Mutex::default(),
            mines_at_once: AtomicBool::default(),
            sends: AtomicU32::default(),
            heads,
            wake: Notify::new(),
        }
    }

    /// Has the next look planned anew.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns when the next look is to be planned anew.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<TransactionId, Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a transaction's bytes were handed to a node; a new version waits for blocks anew.
    pub(crate) fn sent(&self, id: TransactionId, now_ms: u64, is_new_version: bool) {
        let probe = self.sends.fetch_add(1, Ordering::Relaxed).is_multiple_of(PROBE_EVERY);
        let wait = if probe || self.at_once() { FIRST_LOOK } else { self.until_due(now_ms) };
        let mut all = self.all();
        let before = all.get(&id).filter(|_| !is_new_version);
        let head = before.map_or_else(|| self.heads.expected(now_ms), |sent| sent.head);
        let looks = before.map_or(0, |sent| sent.looks);
        let next_look_ms = now_ms.saturating_add(millis(wait));
        all.insert(
            id,
            Sent {
                at_ms: now_ms,
                head,
                next_look_ms,
                looks,
                fee_too_low: false,
                nonce_taken: false,
                unfunded: false,
            },
        );
    }

    fn at_once(&self) -> bool {
        self.mines_at_once.load(Ordering::Relaxed) || self.heads.interval() < FAST
    }

    /// How long until the next block should have reached an endpoint.
    fn until_due(&self, now_ms: u64) -> Duration {
        self.heads.until_due(now_ms) + PROPAGATION
    }

    /// Changes what is known of a sent transaction.
    pub(crate) fn change(&self, id: TransactionId, change: impl FnOnce(&mut Sent)) {
        if let Some(sent) = self.all().get_mut(&id) {
            change(sent);
        }
    }

    /// What is known of a transaction; `None` if it was not sent since the start.
    pub(crate) fn get(&self, id: TransactionId) -> Option<Sent> {
        self.all().get(&id).copied()
    }

    /// Blocks that came since the present version was sent, as far as they were seen.
    pub(crate) fn blocks_since(&self, id: TransactionId) -> u64 {
        let mut all = self.all();
        let (Some(sent), Some(head)) = (all.get_mut(&id), self.heads.head()) else { return 0 };
        if head.read_at_ms >= sent.at_ms {
            // Fewer blocks came before it was sent than had been due.
            sent.head = Some(sent.head.map_or(head.number, |first| first.min(head.number)));
        }
        sent.head.map_or(0, |first| head.number.saturating_sub(first))
    }

    /// Notes that a look found no receipt.
    pub(crate) fn missed(&self, id: TransactionId, now_ms: u64) {
        let at_once = self.at_once();
        let mut all = self.all();
        let Some(sent) = all.get_mut(&id) else { return };
        sent.looks = sent.looks.saturating_add(1);
        let wait = if at_once && sent.looks < LOOKS_AT_ONCE {
            FIRST_LOOK * 2u32.pow(sent.looks)
        } else {
            if sent.looks == LOOKS_AT_ONCE {
                self.mines_at_once.store(false, Ordering::Relaxed);
            }
            let due = self.until_due(now_ms);
            let interval = self.heads.interval().max(FAST);
            // A late block is looked for again soon, one that does not come less and less.
            if sent.looks < 2 * LOOKS_AT_ONCE {
                due.min((interval / 3).max(FIRST_LOOK * 5))
            } else {
                interval
            }
        };
        sent.next_look_ms = now_ms.saturating_add(millis(wait));
    }

    /// Notes that a receipt was found.
    pub(crate) fn found(&self, id: TransactionId, now_ms: u64) {
        let Some(sent) = self.all().remove(&id) else { return };
        if now_ms.saturating_sub(sent.at_ms) < 250 && sent.looks == 0 {
            self.mines_at_once.store(true, Ordering::Relaxed);
        }
    }

    /// Forgets a transaction, so that it is sent again.
    pub(crate) fn forget(&self, id: TransactionId) {
        self.all().remove(&id);
    }

    /// All transactions that wait for their receipt.
    pub(crate) fn known(&self) -> Vec<TransactionId> {
        self.all().keys().copied().collect()
    }

    /// How many wait for their receipt.
    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    /// When the next look is due, in milliseconds since 1970.
    pub(crate) fn next_look_ms(&self) -> Option<u64> {
        self.all().values().map(|sent| sent.next_look_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use t4t_chain::{BlockHash, BlockHeader};
    use t4t_types::UnixSeconds;

    use super::*;
    use crate::scratch::Scratch;

    /// What was found right away, or was the first to be sent, says nothing of how fast blocks come.
    async fn on_five_second_blocks(at_seconds: u64) -> (InFlight, [TransactionId; 2]) {
        let scratch = Scratch::new().await;
        let ids = [scratch.add("first", 0).await, scratch.add("second", 1).await];
        let heads = Arc::new(Heads::new(1, 1000));
        for (number, seconds) in [(1, at_seconds - 5), (2, at_seconds)] {
            heads.note(&header(number, seconds), seconds * 1000);
        }
        let in_flight = InFlight::new(heads);
        in_flight.sent(ids[0], at_seconds * 1000, true);
        in_flight.forget(ids[0]);
        (in_flight, ids)
    }

    fn header(number: u64, seconds: u64) -> BlockHeader {
        BlockHeader {
            number,
            hash: BlockHash::new([1; 32]),
            parent_hash: BlockHash::new([0; 32]),
            timestamp: UnixSeconds::new(seconds),
            base_fee: 10,
        }
    }

    #[actix_web::test]
    async fn on_slow_blocks_a_receipt_is_looked_for_when_the_next_block_is_due() {
        let (in_flight, [_, id]) = on_five_second_blocks(100).await;
        in_flight.sent(id, 101_000, true);
        assert_eq!(in_flight.next_look_ms(), Some(105_400), "the block is due at 105 s, and travels");
        in_flight.missed(id, 105_400);
        let soon = in_flight.get(id).unwrap().next_look_ms - 105_400;
        (0..20).for_each(|_| in_flight.missed(id, 105_400));
        let later = in_flight.get(id).unwrap().next_look_ms - 105_400;
        assert!(
            soon < 2_000 && later == 5_000,
            "a late block soon, one that does not come less often: {soon}, {later}"
        );
        in_flight.found(id, 106_000);
        assert_eq!((in_flight.count(), in_flight.next_look_ms()), (0, None));
    }

    #[actix_web::test]
    async fn a_chain_that_mines_at_once_is_asked_at_once() {
        let (in_flight, [first, id]) = on_five_second_blocks(100).await;
        in_flight.sent(first, 100_000, true);
        in_flight.found(first, 100_020);
        in_flight.sent(id, 101_000, true);
        assert_eq!(in_flight.next_look_ms(), Some(101_020));
    }

    #[actix_web::test]
    async fn blocks_are_counted_from_when_the_present_version_was_first_sent() {
        let (in_flight, [_, id]) = on_five_second_blocks(100).await;
        in_flight.sent(id, 101_000, true);
        in_flight.heads.note(&header(4, 110), 110_000);
        assert_eq!(in_flight.blocks_since(id), 2);
        in_flight.sent(id, 110_500, false);
        assert_eq!(in_flight.blocks_since(id), 2, "the same bytes again change nothing");
        in_flight.sent(id, 110_500, true);
        assert_eq!(in_flight.blocks_since(id), 0);
    }
}
