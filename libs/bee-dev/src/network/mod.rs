//! The network's state: nodes, chunks, batches and subscriptions. No HTTP.

pub(crate) mod batches;
pub(crate) mod identity;
pub(crate) mod messages;
pub(crate) mod parity;
pub(crate) mod pusher;
pub(crate) mod store;
pub(crate) mod tags;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use t4t_types::{BatchId, SwarmRef, Xbzz, keccak256};

use self::batches::{Batch, Batches, StampError};
use self::identity::Identity;
use self::messages::Subscribers;
use self::pusher::Pusher;
use self::store::{Content, Store};
use self::tags::Tags;
use crate::{BeeDevConfig, FaultHandle};

/// Everything that the nodes share.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) config: BeeDevConfig,
    pub(crate) faults: FaultHandle,
    pub(crate) nodes: Vec<Node>,
    started: u64,
    store: Mutex<Store>,
    batches: Mutex<Batches>,
}

/// What is one node's own.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) identity: Identity,
    pub(crate) subscribers: Subscribers,
    /// One transaction at a time, as the real node insists.
    pub(crate) transaction: tokio::sync::Mutex<()>,
    tags: Mutex<Tags>,
    pusher: Mutex<Pusher>,
    balance: Mutex<Xbzz>,
}

/// Poisoned locks are taken all the same: what they guard is never left half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    pub(crate) fn new(config: BeeDevConfig) -> Result<Arc<Self>, getrandom::Error> {
        let seed = match config.seed {
            Some(seed) => seed,
            None => getrandom::u64()?,
        };
        let identities = identity::spread(config.nodes, seed);
        let node = |(index, identity)| Node {
            index,
            identity,
            subscribers: Subscribers::default(),
            transaction: tokio::sync::Mutex::default(),
            tags: Mutex::default(),
            pusher: Mutex::default(),
            balance: Mutex::new(config.balance),
        };
        Ok(Arc::new(Self {
            faults: FaultHandle::new(config.faults.clone(), seed, config.clock.clone()),
            nodes: identities.into_iter().enumerate().map(node).collect(),
            started: config.clock.unix_millis(),
            store: Mutex::new(Store::new(config.store_bytes)),
            batches: Mutex::new(Batches::new(seed)),
            config,
        }))
    }

    /// Milliseconds since 1970 on the network's clock.
    pub(crate) fn now(&self) -> u64 {
        self.config.clock.unix_millis()
    }

    /// The newest block; the first is 1.
    pub(crate) fn block(&self) -> u64 {
        let block_time = self.config.block_time.as_millis().max(1);
        let passed = u128::from(self.now().saturating_sub(self.started));
        1 + u64::try_from(passed / block_time).unwrap_or(u64::MAX - 1)
    }

    /// What every chunk has cost since the first block.
    pub(crate) fn total_amount(&self) -> u128 {
        self.config.price.plur().saturating_mul(self.block().into())
    }

    pub(crate) fn batches(&self) -> MutexGuard<'_, Batches> {
        lock(&self.batches)
    }

    /// The batch, if `node` owns it and it can pay.
    pub(crate) fn check_batch(&self, node: &Node, batch: &BatchId) -> Result<(), StampError> {
        let batches = self.batches();
        let batch = batches.owned(node.index, batch).ok_or(StampError::NotFound)?;
        if self.usable(batch) { Ok(()) } else { Err(StampError::NotUsable) }
    }

    /// Whether the batch can pay now.
    pub(crate) fn usable(&self, batch: &Batch) -> bool {
        let is_over = self.ends_in(batch).is_some_and(|seconds| seconds == 0);
        let is_due = self.now() >= batch.usable_at && self.now() >= batch.seen_at;
        is_due && batch.value > self.total_amount() && !is_over && !self.hides(batch)
    }

    /// Whether the batch's node does not show it.
    pub(crate) fn hides(&self, batch: &Batch) -> bool {
        self.faults.get().hidden_batches.is_some_and(|hidden| hidden.node == batch.owner)
    }

    /// Whether the batch's node lists it.
    pub(crate) fn lists(&self, batch: &Batch) -> bool {
        let hidden = self.faults.get().hidden_batches;
        let is_left_out = hidden.is_some_and(|hidden| hidden.node == batch.owner && hidden.unlisted);
        self.now() >= batch.seen_at && !is_left_out
    }

    /// How many seconds somebody wants the batch to last still.
    pub(crate) fn ends_in(&self, batch: &Batch) -> Option<u32> {
        self.faults.get().stamps_end.filter(|end| end.node == batch.owner).map(|end| end.seconds_left)
    }

    /// Pays for chunks and keeps them; stops at the first that its batch can't pay for. Returns when each of them can be
    /// read on other nodes, in milliseconds since 1970.
    pub(crate) fn put(
        &self,
        node: &Node,
        batch: &BatchId,
        content: Vec<Content>,
        defer: bool,
    ) -> Result<Vec<u64>, StampError> {
        let faults = self.faults.get();
        let mut arrivals = Vec::with_capacity(content.len());
        for content in content {
            if faults.stamp_full {
                return Err(StampError::Full);
            }
            let mut batches = self.batches();
            let paying = batches.owned_mut(node.index, batch).ok_or(StampError::NotFound)?;
            paying.stamp(&content.address(), content.identity())?;
            drop(batches);
            let arrival = match () {
                () if self.faults.is_cut_off(node.index) => pusher::NEVER,
                () if defer => lock(&node.pusher).push(content.size(), self.now(), &faults),
                () => 0,
            };
            arrivals.push(arrival);
            lock(&self.store).put(content, node.index, arrival);
        }
        Ok(arrivals)
    }

    /// Keeps a chunk that came with its own stamp.
    pub(crate) fn put_stamped(&self, node: &Node, content: Content) {
        let arrival = if self.faults.is_cut_off(node.index) { pusher::NEVER } else { 0 };
        lock(&self.store).put(content, node.index, arrival);
    }

    /// What lies at an address, as `node` sees it.
    pub(crate) fn get(&self, node: &Node, address: &SwarmRef) -> Option<Content> {
        lock(&self.store).get(address, node.index, self.now())
    }
}

impl Node {
    pub(crate) fn tags(&self) -> MutexGuard<'_, Tags> {
        lock(&self.tags)
    }

    pub(crate) fn balance(&self) -> Xbzz {
        *lock(&self.balance)
    }

    /// Takes `cost` from the wallet, if it is there.
    pub(crate) fn pay(&self, cost: Xbzz) -> bool {
        let mut balance = lock(&self.balance);
        let rest = balance.checked_sub(cost);
        *balance = rest.unwrap_or(*balance);
        rest.is_some()
    }
}

/// Repeatable bytes for ids and keys.
fn derive(seed: u64, what: &str, index: u64) -> [u8; 32] {
    keccak256([&seed.to_be_bytes()[..], what.as_bytes(), &index.to_be_bytes()].concat())
}
