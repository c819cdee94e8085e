//! Postage batches and their buckets.

use std::collections::{BTreeMap, HashMap};

use t4t_swarm::stamp::{BUCKET_DEPTH, StampIndex, bucket, bucket_capacity};
use t4t_types::{BatchId, SwarmRef, Xbzz};

use super::derive;

/// Chunks whose place is remembered, per batch; beyond, a repeated chunk takes a new place.
const REMEMBERED: usize = 1 << 20;

/// Why a batch does not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StampError {
    /// The node does not own it.
    NotFound,
    /// Not usable yet, or no more.
    NotUsable,
    /// The bucket is full.
    Full,
}

#[derive(Debug)]
pub(crate) struct Batches {
    all: BTreeMap<BatchId, Batch>,
    seed: u64,
}

#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) owner: usize,
    pub(crate) label: String,
    pub(crate) depth: u8,
    pub(crate) amount: Xbzz,
    /// The network's total amount at which this batch is used up.
    pub(crate) value: u128,
    pub(crate) immutable: bool,
    pub(crate) start_block: u64,
    pub(crate) usable_at: u64,
    /// When its node sees it.
    pub(crate) seen_at: u64,
    /// The fullest bucket's count.
    pub(crate) utilization: u32,
    buckets: HashMap<u16, u32>,
    places: HashMap<SwarmRef, StampIndex>,
}

/// A purchase, as the network records it.
#[derive(Debug)]
pub(crate) struct Purchase {
    pub(crate) owner: usize,
    pub(crate) label: String,
    pub(crate) depth: u8,
    pub(crate) amount: Xbzz,
    pub(crate) value: u128,
    pub(crate) immutable: bool,
    pub(crate) start_block: u64,
    pub(crate) usable_at: u64,
    pub(crate) seen_at: u64,
}

impl Batches {
    pub(crate) fn new(seed: u64) -> Self {
        Self { all: BTreeMap::new(), seed }
    }

    pub(crate) fn buy(&mut self, purchase: Purchase) -> BatchId {
        let id = BatchId::new(derive(self.seed, "batch", self.all.len() as u64));
        let Purchase { owner, label, depth, amount, value, immutable, start_block, usable_at, seen_at } =
            purchase;
        let (utilization, buckets, places) = (0, HashMap::new(), HashMap::new());
        let batch = Batch {
            id,
            owner,
            label,
            depth,
            amount,
            value,
            immutable,
            start_block,
            usable_at,
            seen_at,
            utilization,
            buckets,
            places,
        };
        self.all.insert(id, batch);
        id
    }

    pub(crate) fn owned(&self, owner: usize, id: &BatchId) -> Option<&Batch> {
        self.all.get(id).filter(|batch| batch.owner == owner)
    }

    pub(crate) fn owned_mut(&mut self, owner: usize, id: &BatchId) -> Option<&mut Batch> {
        self.all.get_mut(id).filter(|batch| batch.owner == owner)
    }

    pub(crate) fn get(&self, id: &BatchId) -> Option<&Batch> {
        self.all.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.all.values()
    }
}

impl Batch {
    /// Takes a place for a chunk; one that has a place keeps it.
    pub(crate) fn stamp(&mut self, address: &SwarmRef, identity: SwarmRef) -> Result<StampIndex, StampError> {
        if let Some(place) = self.places.get(&identity) {
            return Ok(*place);
        }
        let capacity = bucket_capacity(self.depth);
        let bucket = bucket(address);
        let count = self.buckets.entry(bucket).or_default();
        if *count >= capacity {
            if self.immutable {
                return Err(StampError::Full);
            }
            // A mutable batch begins again and silently lets go of its oldest chunks.
            *count = 0;
        }
        let place = StampIndex { bucket: bucket.into(), position: *count };
        *count += 1;
        self.utilization = self.utilization.max(*count);
        if self.places.len() >= REMEMBERED {
            self.places.clear();
        }
        self.places.insert(identity, place);
        Ok(place)
    }

    /// How many places each used bucket has given away.
    pub(crate) fn count(&self, bucket: u16) -> u32 {
        self.buckets.get(&bucket).copied().unwrap_or_default()
    }

    /// Doubles the places with each bit; what is left of the amount is spread over them.
    pub(crate) fn dilute(&mut self, depth: u8, total_amount: u128) {
        let left = self.value.saturating_sub(total_amount);
        self.value = total_amount + (left >> (depth - self.depth).min(127));
        self.depth = depth;
    }

    /// Buckets of every batch.
    pub(crate) const BUCKET_DEPTH: u8 = BUCKET_DEPTH;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(immutable: bool) -> (Batches, BatchId) {
        let mut batches = Batches::new(1);
        let purchase = Purchase {
            owner: 0,
            label: String::new(),
            depth: 17,
            amount: Xbzz::from_plur(1000),
            value: 1000,
            immutable,
            start_block: 1,
            usable_at: 0,
            seen_at: 0,
        };
        let id = batches.buy(purchase);
        (batches, id)
    }

    fn stamp(batch: &mut Batch, last_byte: u8) -> Result<u32, StampError> {
        let mut address = [7; 32];
        address[31] = last_byte;
        let address = SwarmRef::new(address);
        batch.stamp(&address, address).map(|place| place.position)
    }

    #[test]
    fn a_full_bucket_of_an_immutable_batch_refuses_until_it_is_diluted() {
        let (mut batches, id) = batch(true);
        let batch = batches.owned_mut(0, &id).unwrap();
        let stamps = [0, 1, 0, 2].map(|byte| stamp(batch, byte));
        assert_eq!(stamps, [Ok(0), Ok(1), Ok(0), Err(StampError::Full)]);
        batch.dilute(18, 0);
        assert_eq!((stamp(batch, 2), batch.value), (Ok(2), 500));
    }

    #[test]
    fn a_full_bucket_of_a_mutable_batch_begins_again() {
        let (mut batches, id) = batch(false);
        let batch = batches.owned_mut(0, &id).unwrap();
        let stamps = [0, 1, 2].map(|byte| stamp(batch, byte));
        assert_eq!((stamps, batch.utilization), ([Ok(0), Ok(1), Ok(0)], 2));
    }

    #[test]
    fn another_node_can_not_spend_the_batch() {
        let (batches, id) = batch(true);
        assert!(batches.owned(1, &id).is_none());
    }
}
