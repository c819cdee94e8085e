//! Messages as they come: checked, and each taken once.

use std::collections::{HashSet, VecDeque};

use t4t_clock::SharedClock;
use t4t_protocol::{FRESHNESS_WINDOW_SECONDS, VerifiedEnvelope, parse_and_verify};
use t4t_store::Store;
use t4t_swarm::{LinkState, Subscription};
use t4t_types::{Address, keccak256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// Messages that were verified and wait to be handled. A burst beyond it waits in the subscription, which drops.
const INBOX_CAPACITY: usize = 256;

/// Raw messages remembered, so that the copies which come within a millisecond are dropped before their signature is
/// checked.
const RECENT_MESSAGES: usize = 4096;

/// Verified messages as they come.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<VerifiedEnvelope>,
    state: watch::Receiver<LinkState>,
    task: JoinHandle<()>,
}

impl Inbox {
    /// Of what a subscription brings, the messages to `wallet` that are signed, fresh and were not taken before. Must be
    /// called inside a Tokio runtime.
    pub fn of(subscription: Subscription, wallet: Address, store: Store, clock: SharedClock) -> Self {
        let (sender, messages) = mpsc::channel(INBOX_CAPACITY);
        let state = subscription.state();
        let sorter = Sorter { wallet, store, clock, sender, recent: Recent::new() };
        let task = tokio::spawn(sorter.run(subscription));
        Self { messages, state, task }
    }

    /// The next message; waits as long as it takes. `None` when the sorter has stopped.
    pub async fn next(&mut self) -> Option<VerifiedEnvelope> {
        self.messages.recv().await
    }

    /// Follows whether messages can arrive.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Recent {
    order: VecDeque<[u8; 32]>,
    known: HashSet<[u8; 32]>,
}

impl Recent {
    /// Takes its memory at once, so that a process which is watched for leaks does not seem to have one.
    fn new() -> Self {
        let order = VecDeque::with_capacity(RECENT_MESSAGES + 1);
        Self { order, known: HashSet::with_capacity(RECENT_MESSAGES + 1) }
    }

    /// `false` if the same bytes were here lately.
    fn insert(&mut self, message: &[u8]) -> bool {
        let hash = keccak256(message);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > RECENT_MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

struct Sorter {
    wallet: Address,
    store: Store,
    clock: SharedClock,
    sender: mpsc::Sender<VerifiedEnvelope>,
    recent: Recent,
}

impl Sorter {
    async fn run(mut self, mut subscription: Subscription) {
        while let Some(message) = subscription.next().await {
            if !self.recent.insert(&message) {
                continue;
            }
            let Some(envelope) = self.accept(&message).await else { continue };
            if self.sender.send(envelope).await.is_err() {
                return;
            }
        }
    }

    async fn accept(&self, message: &[u8]) -> Option<VerifiedEnvelope> {
        let envelope = match parse_and_verify(message) {
            Ok(envelope) => envelope,
            Err(error) => {
                debug!(%error, "a message was dropped");
                return None;
            }
        };
        let now = self.clock.now();
        if envelope.to != self.wallet || !envelope.is_fresh(now) {
            debug!(from = %envelope.from, to = %envelope.to, "a message for somebody else, or too old, was dropped");
            return None;
        }
        let expiry = envelope.ts.plus(2 * FRESHNESS_WINDOW_SECONDS);
        match self.store.envelope_insert(envelope.from, &envelope.nonce, expiry).await {
            Ok(true) => Some(envelope),
            Ok(false) => None,
            Err(error) => {
                // Without the row a replay could pass after a restart: safer to lose the message, which is resent.
                warn!(error = &error as &dyn std::error::Error, "a message was dropped");
                None
            }
        }
    }
}
