//! Tags: how far an upload has come.

use std::collections::BTreeMap;

use serde::Serialize;
use t4t_types::SwarmRef;

/// Most tags kept; the oldest go first.
const KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Tags {
    all: BTreeMap<u64, Tag>,
    last: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tag {
    pub(crate) split: u64,
    pub(crate) seen: u64,
    pub(crate) stored: u64,
    pub(crate) sent: u64,
    pub(crate) synced: u64,
    pub(crate) uid: u64,
    pub(crate) address: String,
    pub(crate) started_at: String,
    /// When the chunks that are still on their way arrive, in milliseconds since 1970.
    #[serde(skip)]
    on_their_way: Vec<u64>,
}

impl Tag {
    /// The tag as it is now.
    fn at(&self, now_ms: u64) -> Self {
        let left = self.on_their_way.iter().filter(|arrival| **arrival > now_ms).count() as u64;
        let done = self.split.saturating_sub(left);
        Self { sent: done, synced: done, on_their_way: Vec::new(), ..self.clone() }
    }
}

impl Tags {
    pub(crate) fn create(&mut self, started_at: String) -> Tag {
        self.last += 1;
        let (uid, address) = (self.last, String::new());
        let on_their_way = Vec::new();
        let tag =
            Tag { split: 0, seen: 0, stored: 0, sent: 0, synced: 0, uid, address, started_at, on_their_way };
        self.all.insert(uid, tag.clone());
        while self.all.len() > KEPT {
            self.all.pop_first();
        }
        tag
    }

    /// Counts chunks that were uploaded under a tag and arrive at these times; an unknown tag counts nothing.
    pub(crate) fn count(&mut self, uid: u64, arrivals: &[u64], now_ms: u64, root: Option<SwarmRef>) {
        let Some(tag) = self.all.get_mut(&uid) else { return };
        tag.split += arrivals.len() as u64;
        tag.stored += arrivals.len() as u64;
        tag.on_their_way.retain(|arrival| *arrival > now_ms);
        tag.on_their_way.extend(arrivals.iter().filter(|arrival| **arrival > now_ms));
        tag.address = root.map_or_else(|| std::mem::take(&mut tag.address), |root| root.to_string());
    }

    pub(crate) fn get(&self, uid: u64, now_ms: u64) -> Option<Tag> {
        self.all.get(&uid).map(|tag| tag.at(now_ms))
    }

    pub(crate) fn remove(&mut self, uid: u64) -> bool {
        self.all.remove(&uid).is_some()
    }

    pub(crate) fn list(&self, offset: usize, limit: usize, now_ms: u64) -> Vec<Tag> {
        self.all.values().skip(offset).take(limit).map(|tag| tag.at(now_ms)).collect()
    }
}
